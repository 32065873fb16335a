package main

import (
	"fmt"
	"strconv"
	"time"
)

// What is done with the objects of a shape, in this order.
const (
	opPut    = "put"
	opGet    = "get"
	opHead   = "head"
	opList   = "list"
	opDelete = "delete"
)

func operations() []string { return []string{opPut, opGet, opHead, opList, opDelete} }

// shape is objects of one size and a number of clients.
type shape struct {
	bytes   int
	objects int
	clients int
}

func (s shape) String() string {
	clients := "1 client"
	if s.clients > 1 {
		clients = strconv.Itoa(s.clients) + " clients"
	}
	return sizeText(s.bytes) + ", " + clients
}

func sizeText(bytes int) string {
	if bytes < 1<<20 {
		return strconv.Itoa(bytes>>10) + " KiB"
	}
	return strconv.Itoa(bytes>>20) + " MiB"
}

func (s shape) row(op string) string { return op + " " + s.String() }

// The shapes that bars name.
const (
	small = 4 << 10
	large = 64 << 20
)

// sizes say how much is done.
type sizes struct {
	shapes  []shape
	time    time.Duration // of what is read, per row and round
	uploads int           // at the same time
	upload  int64         // bytes of each, as far as there is room
	counted int           // puts whose syncs are counted
}

func fullSizes(stepTime time.Duration) sizes {
	return sizes{
		shapes: []shape{
			{small, 1000, 1}, {small, 4000, 16},
			{1 << 20, 64, 1}, {1 << 20, 160, 16},
			{large, 4, 1}, {large, 16, 16},
		},
		time: stepTime, uploads: 64, upload: 1 << 30, counted: 200,
	}
}

// quickSizes show that everything runs.
func quickSizes() sizes {
	return sizes{
		shapes: []shape{{small, 20, 1}, {small, 40, 16}, {1 << 20, 4, 1}, {1 << 20, 16, 16}, {large, 1, 1}, {large, 2, 16}},
		time:   20 * time.Millisecond, uploads: 4, upload: 1 << 20, counted: 5,
	}
}

// Rows beside those of the shapes.
const (
	rowSyncsPlain  = "syncs per put"
	rowSyncsAbsent = "syncs per put with If-None-Match"
	rowSyncsMatch  = "syncs per put with If-Match"
)

// rowCPU is the row of a row's processor time.
func rowCPU(row string) string { return row + ", CPU" }

func rowUploads(s sizes) string {
	return fmt.Sprintf("memory, %d uploads of %s at once", s.uploads, sizeText(int(s.upload)))
}
