package main

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
)

// serveFiles is the plainest server of files there is in Go: what a get could cost at least.
func serveFiles(dir, addr string) error {
	return http.ListenAndServe(addr, fileServer(dir))
}

// fileServer gets as http.FileServer does, and puts and deletes.
func fileServer(dir string) http.Handler {
	get := http.FileServer(http.Dir(dir))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := filepath.Join(dir, filepath.FromSlash(filepath.Clean("/"+r.URL.Path)))
		var err error
		switch r.Method {
		case http.MethodPut:
			err = putFile(name, r)
		case http.MethodDelete:
			err = os.Remove(name)
		default:
			get.ServeHTTP(w, r)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
}

// putFile makes a file of what has a body, and a directory of what has none.
func putFile(name string, r *http.Request) error {
	if r.ContentLength == 0 {
		return os.MkdirAll(name, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r.Body)
	return errors.Join(err, f.Close())
}
