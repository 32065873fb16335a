package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/etagfs/etagfs/objstore"
)

// printJSON prints v as one line.
func (t *terminal) printJSON(v any) error {
	encoder := json.NewEncoder(t.out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// readable is text as it is, or quoted as Go does if a terminal would not
// show it so.
func readable(text string) string {
	for _, r := range text {
		if r == utf8.RuneError || !strconv.IsPrint(r) {
			return strconv.Quote(text)
		}
	}
	return text
}

// inLine is a sentence in which names may stand, in one line, with what a terminal would not show as Go writes it.
func inLine(text string) string {
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], string(r)):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}

// jsonKey tells a key in JSON, which has no strings that are not UTF-8.
type jsonKey struct {
	Key      string `json:"key"`
	KeyBytes []byte `json:"key_base64,omitempty"` // if Key could not say it
}

func keyJSON(key objstore.Key) jsonKey {
	if utf8.ValidString(string(key)) {
		return jsonKey{Key: string(key)}
	}
	return jsonKey{Key: string(key), KeyBytes: []byte(key)}
}

// jsonObject is what --json prints of an object.
type jsonObject struct {
	jsonKey
	Prefix      bool              `json:"prefix,omitempty"`
	Type        string            `json:"type,omitempty"`
	Size        int64             `json:"size"`
	ETag        objstore.ETag     `json:"etag,omitempty"`
	Version     objstore.Version  `json:"version,omitempty"`
	Modified    time.Time         `json:"modified,omitzero"`
	Inode       objstore.ID       `json:"inode,omitempty"`
	Mode        string            `json:"mode,omitempty"` // octal permission bits
	UID         uint32            `json:"uid"`
	GID         uint32            `json:"gid"`
	Nlink       uint32            `json:"nlink,omitempty"`
	ContentType string            `json:"content_type,omitempty"`
	UserMeta    map[string]string `json:"user_meta,omitempty"`
}

func objectJSON(key objstore.Key, info objstore.Info) jsonObject {
	return jsonObject{
		jsonKey:     keyJSON(key),
		Type:        typeName(info.Type),
		Size:        info.Size,
		ETag:        info.ETag,
		Version:     info.Version,
		Modified:    info.Modified.UTC(),
		Inode:       info.ID,
		Mode:        fmt.Sprintf("%04o", info.Attr.Mode),
		UID:         info.Attr.UID,
		GID:         info.Attr.GID,
		Nlink:       info.Nlink,
		ContentType: info.ContentType,
		UserMeta:    info.UserMeta,
	}
}

func typeName(t objstore.FileType) string {
	switch t {
	case objstore.TypeFile:
		return "file"
	case objstore.TypeDir:
		return "directory"
	case objstore.TypeSymlink:
		return "symlink"
	case objstore.TypeFifo:
		return "fifo"
	case objstore.TypeSocket:
		return "socket"
	case objstore.TypeCharDevice:
		return "character device"
	case objstore.TypeBlockDevice:
		return "block device"
	default:
		return ""
	}
}
