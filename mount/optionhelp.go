package mount

import (
	"fmt"
	"strings"
)

// OptionsHelp says what each option of mount -o does, and what holds without it, a paragraph each.
func OptionsHelp() string {
	var text strings.Builder
	for _, o := range options() {
		fmt.Fprintf(&text, "  %s\n", o.usage())
		for line := range wrapped(o.help+o.unless(), helpColumns) {
			fmt.Fprintf(&text, "      %s\n", line)
		}
	}
	return text.String()
}

// OptionWords lists the options as they are begun: the name of a flag, NAME= of what takes any value, and NAME=VALUE of each
// value of what takes one of a few.
func OptionWords() (words []string) {
	for _, o := range options() {
		switch {
		case o.flag != nil:
			words = append(words, o.name)
		case o.value != nil:
			words = append(words, o.name+"=")
		}
		for _, c := range o.choices {
			words = append(words, o.name+"="+c.value)
		}
	}
	return words
}

// unless says which of its values an option has that is not given. The help of others says that itself.
func (p option) unless() string {
	if len(p.choices) < 2 {
		return ""
	}
	return " (default " + p.choices[0].value + ")"
}

// helpColumns is how long a line of help is.
const helpColumns = 72

// usage is how an option is written.
func (p option) usage() string {
	switch {
	case p.flag != nil:
		return p.name
	case p.value != nil:
		return p.name + "=VALUE"
	}
	var values []string
	for _, c := range p.choices {
		values = append(values, c.value)
	}
	return p.name + "=" + strings.Join(values, "|")
}

// wrapped are the lines of a text.
func wrapped(text string, columns int) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		line := ""
		for word := range strings.FieldsSeq(text) {
			if line != "" && len(line)+1+len(word) > columns {
				if !yield(line) {
					return
				}
				line = ""
			}
			line = strings.TrimPrefix(line+" "+word, " ")
		}
		yield(line)
	}
}
