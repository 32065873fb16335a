package main

import "testing"

func TestExitCodesOfMount8(t *testing.T) {
	for code, want := range map[int]int{exitOK: 0, exitUsage: mount8Usage, exitFailed: mount8Failed, exitConflict: mount8Failed, exitInUse: mount8Failed} {
		if got := mount8Code(code); got != want {
			t.Errorf("%d is %d, want %d", code, got, want)
		}
	}
}

// What systemd mounts at boot has no home directory.
func TestMountForNobodyHasTheCacheOfTheSystem(t *testing.T) {
	t.Setenv("HOME", "")
	t.Setenv("XDG_CACHE_HOME", "")
	for list, want := range map[string]string{"ro": cacheOfSystem, "ro,cache=/c": "/c"} {
		if l, err := parseList8(list, false); err != nil || l.cacheDir() != want {
			t.Errorf("%s: %q, %v", list, l.cacheDir(), err)
		}
	}
	t.Setenv("HOME", "/home/ana")
	if l, err := parseList8("ro", false); err != nil || l.cacheDir() != "" {
		t.Errorf("a user: %q, %v", l.cacheDir(), err)
	}
}
