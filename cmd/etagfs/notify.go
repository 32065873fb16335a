package main

import (
	"errors"
	"net"
	"os"
	"strings"
)

// What a service of Type=notify says to systemd.
const (
	notifyReady    = "READY=1"
	notifyStopping = "STOPPING=1"
)

// notify says state to systemd, if that has started this process and wants to know.
func notify(state string) error {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	if abstract, ok := strings.CutPrefix(name, "@"); ok {
		name = "\x00" + abstract
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return err
	}
	_, err = conn.Write([]byte(state))
	return errors.Join(err, conn.Close())
}
