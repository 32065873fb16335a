// Package remote tests mounts of a bucket: the program serves a store to S3 clients, and several mounts
// are clients of it, with nothing else in common.
package remote
