package github

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"regexp"
	"strconv"
	"strings"
)

// A mark ends each comment of the bot, in an HTML comment, which GitHub does
// not show. It names what the comment was made for, and the installation that
// made it, in a way that only that installation can tell.
const (
	markHead = "\n\n<!-- towpath "
	markTail = " -->"
	markSize = 20 // bytes of each half, in hex 40 characters

	// markLength is how many characters a mark takes of a comment.
	markLength = len(markHead) + 2*markSize + 1 + 2*markSize + len(markTail)
)

var marked = regexp.MustCompile(`<!-- towpath ([0-9a-f]{40}) ([0-9a-f]{40}) -->\s*$`)

// markFor is the mark of one of the comments that an installation makes for a
// delivery. It is the same in each attempt.
func markFor(installation, delivery string, part int) string {
	name := hexDigest("comment", delivery, strconv.Itoa(part))
	return name + " " + hexDigest("installation", installation, name)
}

// ownMark returns the mark that a comment ends in, "" if the installation did
// not make it.
func ownMark(installation, body string) string {
	found := marked.FindStringSubmatch(body)
	if found == nil || found[2] != hexDigest("installation", installation, found[1]) {
		return ""
	}
	return found[1] + " " + found[2]
}

// unmarked is a comment as people see it.
func unmarked(body string) string {
	return strings.TrimRight(marked.ReplaceAllString(body, ""), "\r\n")
}

// hexDigest hashes parts so that no two lists of parts run together.
func hexDigest(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil)[:markSize])
}
