package s3xml

import (
	"slices"
	"strconv"
	"strings"
)

// fields distributes the children of an element. Each name is asked for by
// one or many, before done refuses what nobody asked for.
type fields struct {
	node  *node
	asked []string
	err   error // the first one
}

func fieldsOf(n *node) *fields { return &fields{node: n} }

// one is the child of that name, nil if there is none.
func (f *fields) one(name string) *node {
	all := f.many(name)
	if len(all) > 1 {
		f.fail()
	}
	if len(all) == 0 {
		return nil
	}
	return all[0]
}

func (f *fields) many(name string) (found []*node) {
	f.asked = append(f.asked, name)
	for _, child := range f.node.children {
		if child.name == name {
			found = append(found, child)
		}
	}
	return found
}

func (f *fields) fail() {
	if f.err == nil {
		f.err = malformed(nil)
	}
}

// text is the text of a child, empty if there is none.
func (f *fields) text(name string) string {
	child := f.one(name)
	if child == nil {
		return ""
	}
	if len(child.children) > 0 {
		f.fail()
	}
	return string(child.text)
}

// required is the text of a child that must be there.
func (f *fields) required(name string) string {
	text := f.text(name)
	if f.node.child(name) == nil {
		f.fail()
	}
	return text
}

func (n *node) child(name string) *node {
	for _, child := range n.children {
		if child.name == name {
			return child
		}
	}
	return nil
}

// texts are the texts of all children of that name.
func (f *fields) texts(name string) (all []string) {
	for _, child := range f.many(name) {
		if len(child.children) > 0 {
			f.fail()
		}
		all = append(all, string(child.text))
	}
	return all
}

func (f *fields) truth(name string) bool {
	switch strings.TrimSpace(f.text(name)) {
	case "true", "1":
		return true
	case "false", "0", "":
	default:
		f.fail()
	}
	return false
}

// number is a number that is not negative, 0 if there is none.
func (f *fields) number(name string) int {
	if f.node.child(name) == nil {
		f.asked = append(f.asked, name)
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSpace(f.text(name)), 10, 31)
	if err != nil {
		f.fail()
	}
	return int(n)
}

// integer is a number that may be negative, of a child that is required.
func (f *fields) integer(name string) int {
	n, err := strconv.ParseInt(strings.TrimSpace(f.required(name)), 10, 32)
	if err != nil {
		f.fail()
	}
	return int(n)
}

// done says whether all was well and nothing is left over.
func (f *fields) done() error {
	for _, child := range f.node.children {
		if !slices.Contains(f.asked, child.name) {
			f.fail()
		}
	}
	return f.err
}
