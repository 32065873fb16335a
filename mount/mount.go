package mount

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/locks"
)

// controlDefault is the name of the control directory unless told.
const controlDefault = ".etagfs"

const (
	requestBytesMax    = 1 << 20
	requestsAhead      = 64
	readAheadKilobytes = "1024"
	capabilitiesWanted = fuse.CAP_ATOMIC_O_TRUNC | fuse.CAP_HANDLE_KILLPRIV_V2 | fuse.CAP_DIRECT_IO_ALLOW_MMAP | fuse.CAP_READDIRPLUS_AUTO |
		fuse.CAP_DONT_MASK | fuse.CAP_SETXATTR_EXT
)

// Config is what a [Mount] is made of.
type Config struct {
	Dir       string // as Prepare returned it
	Source    string // the store, as the mount table names it
	Namespace objstore.Namespace
	// Forgetter is the namespace, or what that is made of, if its ids are good only for as long as they are in use; nil: they are for ever.
	Forgetter objstore.Forgetter
	Options   Options
	Logger    *slog.Logger
	Host      string // for info.json of conflicts
	// Trust is for how long from now on nothing is changed before this mount was told of it; the store waits
	// with what others change until [Mount.Told] returned. nil: nothing ever is, if the namespace can be watched at all.
	Trust func() time.Duration
	// Locks are the file locks, which the mount closes; nil: it has its own, which nobody shares.
	Locks locks.Locker
	// ControlFiles are shown in the control directory, beside those the mount has.
	ControlFiles []fs.ControlFile
	// Kept is told of each conflict, as fs.Config says; nil: nobody is.
	Kept func(objstore.Conflict)
}

// Mount is a mounted namespace.
type Mount struct {
	dir    string
	log    *slog.Logger
	files  *fs.FS
	table  *table
	server *fuse.Server
	asked  *activity
	device string
	// presence is the name by which who unmounts finds this process; empty: the mount is not in the mount table.
	presence string
	done     chan struct{} // closed when the kernel is done with us
}

// Start mounts and serves. The directory can be used when it returns.
func Start(ctx context.Context, config Config) (*Mount, error) {
	t := newTable(config.Namespace.Root(), time.Now, beliefsOf(config))
	if config.Options.FS.Isolation == fs.IsolateMount {
		t.shareFiles()
	}
	t.passes = passesOf(config)
	t.crowd.most = crowdWithin(config.Options.MemoryBytes)
	k := newNotifier(t, config.Logger)
	about := &processes{}
	if config.Options.FS.Guard == fs.GuardProcess && !seesEverybody() {
		return nil, fmt.Errorf("mount option guard=process needs the first pid namespace: processes outside this one could not be told from each other")
	}
	log := &requestLog{activity: newActivity(), control: cmp.Or(config.Options.FS.Control, controlDefault)}
	files, err := fs.New(ctx, fs.Config{
		Namespace: config.Namespace, Options: config.Options.FS,
		Processes: about, Kernel: k,
		Logger: config.Logger, Host: config.Host, Kept: config.Kept,
		ControlFiles: slices.Concat(log.controlFiles(), config.ControlFiles),
	})
	var taken *fs.Error
	if errors.As(err, &taken) && taken.Kind == fs.ErrExists {
		return nil, fmt.Errorf("the store has an entry %s, which the control directory would hide: give that another name with -o control=NAME (%w)", taken.Path, taken.Kind)
	}
	if err != nil {
		return nil, err
	}
	if config.Locks == nil {
		config.Locks = locks.New().Open()
	}
	b := newBridge(t, k, files, newPruner(t, config.Forgetter, config.Logger), config.Locks, config.Logger, time.Now)
	log.bridge = b
	server, err := mountAt(config, &watched{b, log.activity})
	if err != nil {
		return nil, errors.Join(err, files.Close(ctx))
	}
	m := &Mount{dir: config.Dir, log: config.Logger, files: files, table: t, server: server, asked: log.activity, done: make(chan struct{})}
	m.tune(about)
	go func() {
		server.Serve()
		close(m.done)
	}()
	return m, nil
}

// beliefsOf is what the kernel may remember of a namespace.
func beliefsOf(config Config) beliefs {
	switch {
	case !config.Namespace.Capabilities().Watch:
		return beliefs{attributes: func() time.Duration { return 0 }}
	case config.Trust != nil:
		return beliefs{attributes: config.Trust}
	default:
		return beliefs{names: true, attributes: func() time.Duration { return cacheTime }}
	}
}

// passesOf reports whether the kernel may read large files by itself, which takes root.
func passesOf(config Config) bool {
	o := config.Options
	return os.Geteuid() == 0 && !o.Strict && o.FS.Isolation != fs.IsolateMount
}

// mountAt mounts what b answers for.
func mountAt(config Config, b *watched) (*fuse.Server, error) {
	claimed, err := claim(config.Dir)
	if err != nil {
		return nil, err
	}
	defer claimed.Close()
	server, err := fuse.NewServer(b, config.Dir, serverOptions(config))
	if err != nil {
		return nil, fmt.Errorf("mount %s: %w", config.Dir, mountError(config, err))
	}
	return server, nil
}

// mountError says what to do about a refusal of fusermount3, of which the library only passes on that there was one.
func mountError(config Config, err error) error {
	switch {
	case os.Geteuid() == 0:
		return err
	case config.Options.AllowOther && !othersAllowed(fuseConfig):
		return fmt.Errorf("allow_other is for root, or takes a line user_allow_other in %s: add that, or leave the option out (%w)", fuseConfig, os.ErrPermission)
	case unix.Access(config.Dir, unix.W_OK) != nil:
		return fmt.Errorf("fusermount3 mounts only on directories that the user may write to: choose one of your own (%w)", os.ErrPermission)
	}
	return fmt.Errorf("%w: fusermount3 refused it: the directory must be yours if others can write to it, and its filesystem one it knows", err)
}

// fuseConfig is where fusermount3 is told what users may do.
const fuseConfig = "/etc/fuse.conf"

// othersAllowed reports whether users may mount for others, as the file says.
func othersAllowed(file string) bool {
	text, err := os.ReadFile(file)
	return err == nil && slices.ContainsFunc(strings.Split(string(text), "\n"), func(line string) bool {
		return strings.TrimSpace(line) == "user_allow_other"
	})
}

func serverOptions(config Config) *fuse.MountOptions {
	o, root := config.Options, os.Geteuid() == 0
	options := &fuse.MountOptions{
		AllowOther:               o.AllowOther || root,
		Options:                  kernelOptions(o, root),
		FsName:                   config.Source,
		Name:                     strings.TrimPrefix(fsType, "fuse."),
		MaxWrite:                 requestBytesMax,
		MaxBackground:            requestsAhead,
		EnableLocks:              true,
		EnableSymlinkCaching:     true,
		EnableAcl:                true,
		ExplicitDataCacheControl: true,
		DisableReadDirPlus:       !config.Namespace.Capabilities().Watch, // the kernel believes nothing of what it would be told
		DisableSplice:            true,
		ExtraCapabilities:        capabilitiesWanted,
		DirectMountStrict:        root,
		Logger:                   slog.NewLogLogger(config.Logger.Handler(), slog.LevelWarn),
	}
	if !passesOf(config) {
		options.DisabledCapabilities |= fuse.CAP_PASSTHROUGH
	}
	if o.FS.Isolation != fs.IsolateMount {
		options.ExtraCapabilities |= fuse.CAP_NO_EXPORT_SUPPORT // a handle would outlive the version its node stands for
	} else {
		options.ExtraCapabilities |= fuse.CAP_EXPORT_SUPPORT  // see exporting.go
		options.ExtraCapabilities &^= fuse.CAP_ATOMIC_O_TRUNC // see sharing.go
		options.DisabledCapabilities |= fuse.CAP_ATOMIC_O_TRUNC
	}
	// A mount by root behaves as a disk does unless told otherwise. Zero would
	// stand for nosuid and nodev.
	options.DirectMountFlags = syscall.MS_MGC_VAL
	if o.FS.ReadOnly {
		options.DirectMountFlags |= syscall.MS_RDONLY
	}
	return options
}

// kernelOptions are passed on by name. The kernel checks permissions, by the attributes.
func kernelOptions(o Options, root bool) []string {
	options := []string{"default_permissions"}
	for _, option := range []struct {
		name string
		set  bool
	}{
		{"noexec", o.NoExec},
		{"nosuid", o.NoSUID},
		{"nodev", o.NoDev},
		{"ro", o.FS.ReadOnly && !root}, // by flag when mounted directly
	} {
		if option.set {
			options = append(options, option.name)
		}
	}
	return options
}

// tune does what needs the device number of the mount.
func (m *Mount) tune(about *processes) {
	found, ok, err := mountedAt(m.dir)
	if err != nil || !ok {
		m.log.Warn("the mount is not in the mount table", slog.String("dir", m.dir), slog.Any("error", err))
		return
	}
	m.device, m.presence = found.device, found.presenceNames()[0]
	about.mountedOn(found.device)
	if os.Geteuid() != 0 {
		return
	}
	// Buffered reads are as large as the kernel reads ahead, 128 KiB unless told.
	ahead := filepath.Join("/sys/class/bdi", found.device, "read_ahead_kb")
	if err := os.WriteFile(ahead, []byte(readAheadKilobytes), 0); err != nil {
		m.log.Info("read-ahead stays at the kernel's default", slog.Any("error", err))
	}
}

// Settle returns once the kernel has forgotten what the store had told of before the call, or ctx ends. What has
// been changed by others is acknowledged after it.
func (m *Mount) Settle(ctx context.Context) { m.files.Settle(ctx) }

// Moving has the kernel forget both names of a rename that others are about to make, and believe nothing of them until moved is called.
func (m *Mount) Moving(ctx context.Context, r objstore.MoveRequest) (moved func()) {
	return m.files.Moving(ctx, r)
}

// Told returns once the kernel has forgotten what the store had told of before the call, or with the error of ctx. With
// Config.Trust it does not wait for requests.
func (m *Mount) Told(ctx context.Context) error { return m.files.Told(ctx) }

// Activity is what the kernel has asked for since the mount began. Requests that its page cache answers do not come here.
func (m *Mount) Activity() Activity { return m.asked.count() }

// Counts is what became of commits, and what is open for writing.
func (m *Mount) Counts() fs.Counts { return m.files.Counts() }

// Done is closed when the directory has been unmounted, by whomever.
func (m *Mount) Done() <-chan struct{} { return m.done }

// Close unmounts, unless that has happened, commits or keeps what is still open, and
// returns when nothing uses the namespace any more. A busy mount is detached:
// it disappears from the tree and its open files stop working. So do its copies in other mount namespaces.
func (m *Mount) Close(ctx context.Context) error {
	detached, err := m.unmount()
	err = errors.Join(err, m.files.Close(ctx))
	if detached {
		m.abort()
	}
	return err
}

// unmount reports whether the mount is out of the tree but not at its end.
func (m *Mount) unmount() (detached bool, err error) {
	select {
	case <-m.done:
		return false, nil
	default:
	}
	if m.leave() {
		return m.outlivesUs(), nil
	}
	holders, _ := Holders(m.dir)
	for _, h := range holders {
		m.log.Warn("unmounting a busy mount", slog.String("dir", m.dir), slog.String("holder", h.String()))
	}
	if err := detach(m.dir); err != nil {
		return false, fmt.Errorf("unmount %s: %w", m.dir, err)
	}
	return true, nil
}

// leave unmounts if nothing is open. What has been closed a moment ago may still look open.
func (m *Mount) leave() bool {
	for wait := 5 * time.Millisecond; wait < 200*time.Millisecond; wait *= 2 {
		if unmountIdle(m.dir) == nil {
			return true
		}
		<-time.After(wait)
	}
	return false
}

// copyPatience is how long the kernel may take to be done with a mount that is out of the tree.
const copyPatience = 2 * time.Second

// outlivesUs reports whether a mount that is out of our tree is still in another: a process started
// with a mount namespace of its own, like a container, has copies of all mounts.
func (m *Mount) outlivesUs() bool {
	timer := time.NewTimer(copyPatience)
	defer timer.Stop()
	select {
	case <-m.done:
		return false
	case <-timer.C:
		m.log.Warn("unmounted, but not in every mount namespace", slog.String("dir", m.dir))
		return true
	}
}

// abort ends the connection of a detached mount, which would last as long as its open files. Once it has ended by itself its
// number may be another mount's.
func (m *Mount) abort() {
	select {
	case <-m.done:
		return
	default:
	}
	if err := abortConnection(m.device); err != nil {
		m.log.Info("the connection ends with the process", slog.Any("error", err))
		return
	}
	<-m.done
}
