package badgerstore

import "testing"

// Sizes are those of the profile unless they would take over a third of the memory there is; then those of a mount.
func TestSizesFitIntoTheMemory(t *testing.T) {
	server, mount := ProfileServer.sizes(), ProfileMount.sizes()
	for _, row := range []struct {
		name        string
		of          sizes
		bytes       int64
		memTable    int64
		cacheAtMost int
	}{
		{"a server without a limit", server, 0, server.memTableBytes, server.cacheBytes},
		{"a server with enough", server, 1 << 30, server.memTableBytes, server.cacheBytes},
		{"a server with little", server, 256 << 20, mount.memTableBytes, 16 << 20},
		{"a mount with little", mount, 64 << 20, mount.memTableBytes, 4 << 20},
	} {
		got := row.of.within(row.bytes)
		if got.memTableBytes != row.memTable || got.cacheBytes > row.cacheAtMost || got.inlineBytes != row.of.inlineBytes {
			t.Errorf("%s: %+v", row.name, got)
		}
	}
}
