// Package s3 runs the S3 server over the embedded engine and talks to it with a client no one here
// wrote: aws-sdk-go-v2.
package s3
