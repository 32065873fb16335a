package mount

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
)

// attempts are what programs do with a path, on the node it was found to have. What comes after the
// opening must work too.
var attempts = map[string]func(k *kernel, thread uint32, node uint64) syscall.Errno{
	"read":         openAnd(syscall.O_RDONLY),
	"write":        openAnd(syscall.O_WRONLY),
	"change":       openAnd(syscall.O_RDWR),
	"write anew":   openAnd(syscall.O_WRONLY | syscall.O_TRUNC),
	"truncate":     func(k *kernel, thread uint32, node uint64) syscall.Errno { return k.truncate(thread, node, 2) },
	"chmod":        (*kernel).chmod,
	"stat":         (*kernel).getattr,
	"getxattr":     (*kernel).getxattr,
	"truncate all": func(k *kernel, thread uint32, node uint64) syscall.Errno { return k.truncate(thread, node, 0) },
}

// openAnd opens a node and uses the file.
func openAnd(flags uint32) func(*kernel, uint32, uint64) syscall.Errno {
	return func(k *kernel, thread uint32, node uint64) syscall.Errno {
		f, errno := k.openNode(thread, node, flags)
		if errno != 0 {
			return errno
		}
		return f.useAndClose(flags)
	}
}

// useAndClose reads or writes.
func (f *opened) useAndClose(flags uint32) (errno syscall.Errno) {
	if flags&syscall.O_ACCMODE == syscall.O_RDONLY {
		_, errno = f.read()
	} else {
		errno = f.write(0, "12345")
	}
	if errno == 0 {
		errno = f.k.getattr(f.thread, f.node)
	}
	if closed := f.close(); errno == 0 {
		errno = closed
	}
	return errno
}

// states are what the second attempt may find at f. finish closes what made it.
var states = map[string]func(k *kernel) (finish func()){
	"committed": func(k *kernel) func() {
		k.put("f", "found")
		return func() {}
	},
	"pending": func(k *kernel) func() {
		f, _ := k.create(9, "f", syscall.O_RDWR)
		f.write(0, "found")
		return func() { f.close() }
	},
}

// events are what may become of f between the second lookup and the repeated request.
var events = map[string]func(k *kernel, finish func()){
	"left alone": func(*kernel, func()) {},
	"unlinked":   func(k *kernel, _ func()) { k.unlink("f") },
	"replaced":   func(k *kernel, _ func()) { k.put("new", "new"); k.rename("new", "f") },
	"closed":     func(_ *kernel, finish func()) { finish() },
	"closed and unlinked": func(k *kernel, finish func()) {
		finish()
		k.unlink("f")
	},
	"unlinked and closed": func(k *kernel, finish func()) {
		k.unlink("f")
		finish()
	},
	"overwritten": func(k *kernel, finish func()) {
		finish()
		w := k.mustOpen(8, "f", syscall.O_WRONLY|syscall.O_TRUNC)
		w.write(0, "other")
		w.close()
	},
	"grown and unlinked": func(k *kernel, finish func()) {
		finish()
		w := k.mustOpen(8, "f", syscall.O_WRONLY|syscall.O_APPEND)
		w.write(5, "more")
		w.close()
		k.unlink("f")
	},
}

// The second ESTALE would reach the program: whatever becomes of the name once the second attempt has looked it
// up, that attempt succeeds.
func TestRepeatedAttemptIsNotRefused(t *testing.T) {
	for attempt, do := range attempts {
		for state, make := range states {
			for event, happen := range events {
				for _, thread := range []uint32{5, 0} {
					t.Run(fmt.Sprintf("%s, %s, %s, thread %d", attempt, state, event, thread), func(t *testing.T) {
						k := newKernel(t)
						k.put("f", "first")
						old, _ := k.lookup(thread, "f")
						k.lose("f")
						if errno := do(k, thread, old.NodeId); errno != syscall.ESTALE {
							t.Fatalf("the first attempt, on what is gone: %v", errno)
						}
						k.drop(old.NodeId)
						finish := sync.OnceFunc(make(k))
						errno := k.again(thread, "f", func(node uint64) syscall.Errno {
							happen(k, finish)
							return do(k, thread, node)
						}, nil)
						if errno != 0 {
							t.Errorf("the second attempt: %v", errno)
						}
						finish()
					})
				}
			}
		}
	}
}

// The kernel ignores that security.capability was refused, and goes on with what it was asked to do: that is a first
// attempt, which may be refused, and not a repeated one, which would be told that there is no such file.
func TestRefusalThatTheKernelIgnoresIsNoFirstAttempt(t *testing.T) {
	for attempt, do := range attempts {
		for _, thread := range []uint32{5, 0} {
			t.Run(fmt.Sprintf("%s, thread %d", attempt, thread), func(t *testing.T) {
				k := newKernel(t)
				k.put("f", "first")
				old, _ := k.lookup(thread, "f")
				k.put("new", "second")
				k.rename("new", "f")
				if errno := k.getxattr(thread, old.NodeId); errno != syscall.ESTALE {
					t.Fatalf("getxattr of what is gone: %v", errno)
				}
				// What belongs to no version may be answered at once.
				if errno := do(k, thread, old.NodeId); errno != 0 && errno != syscall.ESTALE {
					t.Errorf("the first attempt: %v", errno)
				}
				k.drop(old.NodeId)
				if errno := k.again(thread, "f", func(node uint64) syscall.Errno { return do(k, thread, node) }, nil); errno != 0 {
					t.Errorf("the second attempt: %v", errno)
				}
			})
		}
	}
}

// C2: a program that has changed a file sees what it wrote, and truncates that, at whichever attempt.
func TestRepeatedAttemptComesToTheOwnWorkingCopy(t *testing.T) {
	k := newKernel(t)
	k.put("f", "first")
	old, _ := k.lookup(5, "f")
	k.unlink("f")
	k.put("f", "second")
	w := k.mustOpen(5, "f", syscall.O_RDWR)
	w.write(0, "own")
	repeat := func(attempt string, do func(node uint64) syscall.Errno) {
		if errno := do(old.NodeId); errno != syscall.ESTALE {
			t.Fatalf("the first attempt to %s: %v", attempt, errno)
		}
		if errno := k.again(5, "f", do, nil); errno != 0 {
			t.Errorf("the second attempt to %s: %v", attempt, errno)
		}
	}
	repeat("read", func(node uint64) syscall.Errno {
		r, errno := k.openNode(5, node, syscall.O_RDONLY)
		if errno == 0 {
			r.check("ownond")
			r.close()
		}
		return errno
	})
	repeat("truncate", func(node uint64) syscall.Errno { return k.truncate(5, node, 2) })
	w.check("ow")
	if errno := w.close(); errno != 0 {
		t.Errorf("close: %v", errno)
	}
	k.drop(old.NodeId)
}

// A symlink is often replaced to point elsewhere: who follows it comes to the old or the new target.
func TestReplacedSymlinkIsFollowed(t *testing.T) {
	for _, thread := range []uint32{5, 0} {
		k := newKernel(t)
		for _, base := range []string{"1", "2", "3"} {
			k.symlink("target"+base, base)
		}
		node, _ := k.walk(thread, "1")
		k.rename("2", "1")
		if _, errno := k.readlink(thread, node); errno != syscall.ESTALE {
			t.Fatalf("the first attempt, on what is gone: %v", errno)
		}
		k.drop(node)
		errno := k.again(thread, "1", func(node uint64) syscall.Errno {
			k.rename("3", "1")
			if target, errno := k.readlink(thread, node); errno != 0 || target != "target2" {
				t.Errorf("the second attempt of thread %d: %q, %v", thread, target, errno)
			}
			return k.getattr(thread, node)
		}, nil)
		if errno != 0 {
			t.Errorf("lstat of thread %d: %v", thread, errno)
		}
	}
}

// The second attempt finds nothing and makes the file, as somebody else just has.
func TestRepeatedCreateOpensWhatOthersMade(t *testing.T) {
	for _, thread := range []uint32{5, 0} {
		for _, flags := range []uint32{syscall.O_RDONLY, syscall.O_WRONLY, syscall.O_RDWR | syscall.O_TRUNC} {
			for state, make := range states {
				t.Run(fmt.Sprintf("flags %#o, %s, thread %d", flags, state, thread), func(t *testing.T) {
					k := newKernel(t)
					k.put("f", "first")
					if _, errno := k.create(thread, "f", flags); errno != syscall.ESTALE {
						t.Fatalf("the first attempt: %v", errno)
					}
					k.unlink("f")
					finish := func() {}
					errno := k.again(thread, "f", nil, func() syscall.Errno {
						finish = make(k)
						f, errno := k.create(thread, "f", flags)
						if errno != 0 {
							return errno
						}
						if flags == syscall.O_RDONLY {
							f.check("found")
						}
						return f.useAndClose(flags)
					})
					if errno != 0 {
						t.Errorf("the second attempt: %v", errno)
					}
					finish()
				})
			}
		}
	}
}

// No ESTALE reaches an application, whoever else is busy with the name; thread 0 is
// one in another pid namespace.
func TestContentionIsNeverSeen(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for _, c := range []struct {
		name              string
		unknown, unlinked bool
	}{
		{"replaced", false, false}, {"replaced, threads unknown", true, false},
		{"unlinked", false, true}, {"unlinked, threads unknown", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKernel(t)
			k.put("f", "start")
			var workers sync.WaitGroup
			for i := range uint32(24) {
				random := rand.New(rand.NewPCG(seed, uint64(i)))
				thread := i + 10
				if c.unknown {
					thread = 0
				}
				workers.Go(func() { k.contend(thread, random) })
			}
			workers.Go(func() { k.disturb(c.unlinked) })
			workers.Wait()
			k.bridge.table.checkInvariants(t)
			if k.refusals == 0 {
				t.Error("nobody was refused: the test showed nothing")
			}
		})
	}
}

// disturb replaces or removes f often.
func (k *kernel) disturb(unlinks bool) {
	for i := range 60 {
		if unlinks {
			if errno := k.unlink("f"); errno != 0 && errno != syscall.ENOENT {
				k.t.Errorf("unlink: %v", errno)
			}
			continue
		}
		k.put("new", fmt.Sprint("replaced", i))
		if errno := k.rename("new", "f"); errno != 0 {
			k.t.Errorf("rename: %v", errno)
		}
	}
}

// contend uses one file as a process of its own.
func (k *kernel) contend(thread uint32, random *rand.Rand) {
	flags := []uint32{syscall.O_RDONLY, syscall.O_RDWR, syscall.O_WRONLY, syscall.O_WRONLY | syscall.O_TRUNC}
	names := []string{"truncate", "chmod", "stat", "getxattr"}
	for range 60 {
		flag, attempt := flags[random.IntN(len(flags))], names[random.IntN(len(names))]
		f, errno := k.openOrCreate(thread, "f", flag)
		if errno == 0 {
			errno = f.useAndClose(flag)
		}
		if errno != 0 && errno != syscall.EBUSY { // which is how a program learns that others were first
			k.t.Errorf("open with %#o: %v", flag, errno)
			return
		}
		errno = k.call(thread, "f", func(node uint64) syscall.Errno { return attempts[attempt](k, thread, node) }, nil)
		if errno != 0 && errno != syscall.ENOENT && errno != syscall.EBUSY {
			k.t.Errorf("%s: %v", attempt, errno)
		}
	}
}
