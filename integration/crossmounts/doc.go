// Package crossmounts tests the promises between several mounts of one store, for every kind of mount there
// is: the owner of a store and who uses it through the owner's socket, two of the latter, mounts through our server's
// extensions, and mounts of a bucket, ours or a MinIO server's.
//
// # Words
//
//   - A kind is a way to mount; what it lacks is said with the reason, and the cases about it are skipped.
//   - A cutter stands between mounts and store and cuts connections when a request was delivered and its answer
//     was not, or in the middle of either.
//   - A history is what client processes on several mounts called and were answered, with times of one clock. Clients,
//     daemons and owners are killed meanwhile; a call without an answer may take effect at any time, or never.
//
// Histories are checked for linearizability against a model of names and contents (model_test.go). That the checker can
// fail is shown by histories made wrong, and by clients on a plain directory, which loses updates.
//
// Random tests print the seed with the line that runs them again. ETAGFS_LONG=1 makes all of it longer.
package crossmounts
