package postgres

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxLog is the size in bytes at which the server's log is cut to its newer half.
const maxLog = 16 << 20

// openLog opens the server's log for the server to append to, which makes trimming it safe while the server writes.
func (p place) openLog() (*os.File, error) {
	if err := trimLog(p.log(), maxLog); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(p.log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	if err := p.account.own(p.log()); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// trimLog cuts a file longer than limit bytes to its newer half. It does so in place, because a running server has the file
// open; lines that it writes at the same time may be lost.
func trimLog(path string, limit int64) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || info.Size() <= limit {
		return err
	}
	newer, err := io.ReadAll(io.NewSectionReader(file, info.Size()-limit/2, limit/2))
	if err != nil {
		return err
	}
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err = file.Write(newer)
	return err
}

// lastLines quotes the end of a log for an error, not looking at what is before the offset.
func lastLines(path string, offset int64) string {
	const lines, bytes = 10, 8 << 10
	file, err := os.Open(path)
	if err != nil {
		return "its log cannot be read: " + err.Error()
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "its log cannot be read: " + err.Error()
	}
	start := max(offset, info.Size()-bytes)
	content, err := io.ReadAll(io.NewSectionReader(file, start, info.Size()-start))
	if err != nil {
		return "its log cannot be read: " + err.Error()
	}
	text := strings.TrimSpace(string(content))
	if text == "" {
		return "it wrote nothing to its log " + path
	}
	all := strings.Split(text, "\n")
	last := strings.Join(all[max(0, len(all)-lines):], "\n")
	return withAdvice(fmt.Sprintf("the end of its log %s:\n%s", path, last))
}
