// Package s3stores runs the S3 client against servers of others, which are built from Go modules and run as processes of
// their own: what the probe finds out about them, and the conformance suite as far as their capabilities go.
//
// MinIO takes minutes to build, so its tests run where it was built before; make s3stores builds it.
package s3stores
