package objstore

import "io"

// Fill reads from body until p is full or body ends, and returns how many bytes there are. The error is io.EOF itself only where body has
// ended. Unlike [io.ReadFull] it tells that from a body that was cut off: one that ends with io.ErrUnexpectedEOF, or with another
// error around io.EOF, such as that of a connection that broke.
func Fill(body io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = body.Read(p[n:])
		n += m
	}
	return n, err
}
