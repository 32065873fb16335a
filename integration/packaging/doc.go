// Package packaging installs the built program as the Makefile does, and looks whether what is then there works:
// the packages, the units of systemd, and mount(8) with a line of fstab. Its tests run the commands in the documents,
// too.
package packaging
