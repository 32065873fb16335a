// Package containers runs etagfs as its users do: a server and mounting hosts on a private network, each with programs
// beside the daemon, and does to them what happens to machines.
//
// # Words
//
//   - A site is a network of its own with some hosts. A test makes one, and everything of it is gone with the test.
//   - A host has one main program, the server or the daemon of a mount, and any number of others beside it. It can be
//     killed, paused, cut off and healed.
//   - A form is what hosts are made of (ETAGFS_CONTAINER): docker, containers of images made from nothing but the static
//     programs; none, network and mount namespaces of this machine, or, for users other than root, plain processes.
//   - Hands are a program on a host that does one call after the other, as it is told, so that a test decides what
//     happens between an open and its close.
//   - A relay stands between hosts and holds back, or loses, what passes.
//
// # What a container needs
//
// The device /dev/fuse and the capability SYS_ADMIN, which mount(2) asks for; nothing else of --privileged. Docker's default seccomp
// profile allows mount(2) to who has that capability. Its AppArmor profile, on Ubuntu and Debian with AppArmor, does not: --security-opt
// apparmor=unconfined. The image needs no fusermount3 as long as the daemon is root, and no other file than the
// program: only directories for the mount point, and --cache on a volume if what was not committed shall outlive the container.
//
// # Clocks
//
// Containers and namespaces have the wall clock of their machine. Hosts whose clocks are apart run the program built with a clock
// that can be wrong (go build -overlay).
package containers
