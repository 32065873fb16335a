// Package mounts tests the promises on real mounts, through system calls and programs.
package mounts
