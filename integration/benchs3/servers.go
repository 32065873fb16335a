package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/etagfs/etagfs/integration/internal/measure"
)

// The subjects. versitygw does not sync what it writes, and the file server neither syncs nor signs.
const (
	etagfsName     = "etagfs"
	minioName      = "MinIO"
	versitygwName  = "versitygw"
	fileServerName = "net/http"
)

const (
	startTime = 60 * time.Second
	endTime   = 60 * time.Second
	pollTime  = 50 * time.Millisecond
)

// server is a child process that serves a bucket. It says nothing: logs cost no disk here.
type server struct {
	name    string
	addr    string
	process measure.Process
	cmd     *exec.Cmd
	exited  chan struct{} // closed once the process is gone
}

// command is how a server is started over a directory at an address.
type command struct {
	name    string
	program string
	args    func(dir, addr string) []string
	env     []string
}

func etagfsCommand(program string) command {
	return command{
		name: etagfsName, program: program,
		args: func(dir, addr string) []string { return []string{"serve", dir, "--listen", addr} },
		env:  []string{"ETAGFS_ACCESS_KEY=" + accessKey, "ETAGFS_SECRET_KEY=" + secretKey},
	}
}

func minioCommand(program string) command {
	return command{
		name: minioName, program: program,
		args: func(dir, addr string) []string { return []string{"server", dir, "--address", addr, "--quiet"} },
		env: []string{"MINIO_ROOT_USER=" + accessKey, "MINIO_ROOT_PASSWORD=" + secretKey,
			"MINIO_BROWSER=off", "MINIO_UPDATE=off"},
	}
}

func versitygwCommand(program string) command {
	return command{
		name: versitygwName, program: program,
		args: func(dir, addr string) []string {
			return []string{"--port", addr, "--quiet", "--keep-alive", "posix", dir}
		},
		env: []string{"ROOT_ACCESS_KEY=" + accessKey, "ROOT_SECRET_KEY=" + secretKey},
	}
}

// fileServerCommand is this program itself.
func fileServerCommand(program string) command {
	return command{
		name: fileServerName, program: program,
		args: func(dir, addr string) []string { return []string{"-serve-files", dir, "-listen", addr} },
	}
}

// start runs a server over a new directory below parent and gives it its bucket.
func start(ctx context.Context, c command, parent string) (*server, error) {
	dir := filepath.Join(parent, c.name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	s := &server{name: c.name, addr: addr, exited: make(chan struct{})}
	s.cmd = exec.Command(c.program, c.args(dir, addr)...)
	s.cmd.Env = append(os.Environ(), c.env...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL} // an interrupt is ours to answer
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	s.process = measure.Process(s.cmd.Process.Pid)
	go func() {
		s.cmd.Wait() // how it ended is in cmd.ProcessState
		close(s.exited)
	}()
	if err := s.makeBucket(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", c.name, err), s.stop())
	}
	return s, nil
}

// freeAddr is an address nobody listens on, for programs that cannot tell which they took.
func freeAddr(ctx context.Context) (string, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// makeBucket tries until the server is there and has it.
func (s *server) makeBucket(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	q, err := signer{addr: s.addr}.request(ctx, http.MethodPut, "", nil, nil, http.StatusOK)
	if err != nil {
		return err
	}
	poll := time.NewTicker(pollTime)
	defer poll.Stop()
	for {
		if _, err = s.run(ctx, load{clients: 1, requests: []*request{q}}); err == nil {
			return nil
		}
		select {
		case <-s.exited:
			return fmt.Errorf("it ended: %v", s.cmd.ProcessState)
		case <-ctx.Done():
			return err
		case <-poll.C:
		}
	}
}

// stop ends the server.
func (s *server) stop() error {
	s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	select {
	case <-s.exited:
		return nil
	case <-time.After(endTime):
		s.cmd.Process.Kill()
		<-s.exited
		return fmt.Errorf("%s had to be killed", s.name)
	}
}
