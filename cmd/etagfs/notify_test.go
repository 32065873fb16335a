package main

import (
	"net"
	"path/filepath"
	"testing"
)

// systemd's socket has a name in the file system or, with an @, none.
func TestReadinessReachesSystemd(t *testing.T) {
	if err := notify(notifyReady); err != nil {
		t.Errorf("nobody wants to know: %v", err)
	}
	path := filepath.Join(t.TempDir(), "notify")
	for address, variable := range map[string]string{path: path, "\x00" + path: "@" + path} {
		listener, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("NOTIFY_SOCKET", variable)
		if err := notify(notifyReady); err != nil {
			t.Error(err)
		}
		said := make([]byte, 64)
		n, err := listener.Read(said)
		if string(said[:n]) != notifyReady || err != nil {
			t.Errorf("%q, %v", said[:n], err)
		}
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		if err := notify(notifyReady); err == nil {
			t.Error("nobody listens, and that is no error")
		}
	}
}
