package record

import "encoding/binary"

// Intact reports whether the checksum of a value is that of the value and its key.
func Intact(key, value []byte) bool {
	if len(value) < 2+checksumBytes {
		return false
	}
	body := value[:len(value)-checksumBytes]
	return binary.BigEndian.Uint64(value[len(body):]) == checksum(key, body)
}
