package containers

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

const (
	// formVariable names the form: docker, or none, the default.
	formVariable = "ETAGFS_CONTAINER"
	// imageVariable names the image the tests run.
	imageVariable = "ETAGFS_TEST_IMAGE"
	// roleVariable is mounttest's: a process of this program that has a role is no run of tests.
	roleVariable = "MOUNTTEST_ROLE"
)

func TestMain(m *testing.M) {
	if inDocker() && os.Getenv(roleVariable) == "" {
		os.Exit(runWithImages(m))
	}
	mounttest.Main(m, map[string]mounttest.Role{
		"append":    mounttest.Append,
		"hands":     handsRole,
		"history":   historyRole,
		"idle":      idle,
		"increment": mounttest.Increment,
		"locked":    countLocked,
		"relay":     relayRole,
		"replace":   replaceOften,
		"swap":      swapOften,
	})
}

// runWithImages runs the tests with images that are gone afterwards.
func runWithImages(m *testing.M) int {
	image, users, err := buildImages()
	defer func() {
		if out, err := exec.Command("docker", "rmi", "-f", image, users).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "remove the images: %v: %s\n", err, out)
		}
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	os.Setenv(imageVariable, image)
	return m.Run()
}

// idle is the main program of a host that has none: it waits for the end of its input.
func idle([]string) error {
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}
