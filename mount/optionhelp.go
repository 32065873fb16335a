package mount

import (
	"fmt"
	"strings"
)

// OptionsHelp says what each option of mount -o does, a paragraph each. Of the values of one the first is the default.
func OptionsHelp() string {
	var text strings.Builder
	for _, o := range options() {
		fmt.Fprintf(&text, "  %s\n", o.usage())
		for line := range wrapped(o.help, helpColumns) {
			fmt.Fprintf(&text, "      %s\n", line)
		}
	}
	return text.String()
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
		if c.later == "" {
			values = append(values, c.value)
		}
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
