package mounttest

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Append is a program: it appends lines that begin with TAG to FILE, COUNT times, opening it anew for each. It tells of each
// line whether the close has answered. The arguments are FILE, COUNT and TAG.
func Append(args []string) error {
	count, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	for i := range count {
		line := fmt.Sprintf("%s %d", args[2], i)
		err := appendLine(args[0], line)
		if err != nil && !errors.Is(err, syscall.EIO) {
			return err
		}
		fmt.Println(err == nil, line)
	}
	return nil
}

func appendLine(path, line string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, line)
	return errors.Join(err, f.Close())
}

// CheckAppended compares what [Append] was told of its lines with what is in the file: each that was acknowledged is there
// once, and all are in their order. It returns how many have no answer.
func CheckAppended(t testing.TB, tag string, lines int, said, file string) (unknown int) {
	t.Helper()
	var found []string
	for line := range strings.Lines(file) {
		if strings.HasPrefix(line, tag+" ") {
			found = append(found, strings.TrimSuffix(line, "\n"))
		}
	}
	told := 0
	for answer := range strings.Lines(said) {
		told++
		known, line, _ := strings.Cut(strings.TrimSuffix(answer, "\n"), " ")
		isNext := len(found) > 0 && found[0] == line
		if known == "true" && !isNext {
			t.Fatalf("%q was acknowledged, and the next line of %s is %q", line, tag, append(found, "")[0])
		}
		if known != "true" {
			unknown++
		}
		if isNext {
			found = found[1:]
		}
	}
	if told != lines || len(found) != 0 {
		t.Errorf("%s: %d lines were answered, and too much is there: %q", tag, told, found)
	}
	return unknown
}
