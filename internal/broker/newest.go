package broker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// chunkMessages and chunkBytes bound what is asked for, and held, at once.
	chunkMessages = 256
	chunkBytes    = 8 << 20
)

// Newest yields the messages of the range that are stored now, the newest
// first. It reads backwards in chunks of bounded size, and never further than
// its caller goes on; whoever breaks off has read little. An error is the last
// thing that it yields. Subjects may overlap here.
func (b *Broker) Newest(ctx context.Context, stream Stream, r Range) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		floor, upTo, err := b.bounds(ctx, stream, r)
		// NATS reads forwards only, so the last few sequences are read first,
		// then the few before them. How many hold a chunk depends on how many
		// of them the subjects match.
		for span := uint64(chunkMessages); err == nil && upTo > floor; {
			after := upTo - min(span, upTo-floor)
			var read chunk
			if read, err = b.readChunk(ctx, stream, r.Subjects, after, upTo); err != nil {
				break
			}
			if !read.whole { // which a single sequence always is
				span = max((upTo-after)/2, 1)
				continue
			}
			for _, m := range slices.Backward(read.messages) {
				if !yield(m, nil) {
					return
				}
			}
			upTo = after
			if read.sparse() {
				span *= 2
			}
		}
		if err != nil {
			yield(Message{}, fmt.Errorf("read %s: %w", stream, err))
		}
	}
}

// Oldest yields the messages of the range that are stored now, the oldest
// first, like [Broker.Newest] in chunks.
func (b *Broker) Oldest(ctx context.Context, stream Stream, r Range) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		after, upTo, err := b.bounds(ctx, stream, r)
		for span := uint64(chunkMessages); err == nil && after < upTo; {
			to := min(after+span, upTo)
			var read chunk
			if read, err = b.readChunk(ctx, stream, r.Subjects, after, to); err != nil {
				break
			}
			if !read.whole {
				span = max((to-after)/2, 1)
				continue
			}
			for _, m := range read.messages {
				if !yield(m, nil) {
					return
				}
			}
			after = to
			if read.sparse() {
				span *= 2
			}
		}
		if err != nil {
			yield(Message{}, fmt.Errorf("read %s: %w", stream, err))
		}
	}
}

// bounds returns the sequences between which the range lies; the first is not
// in it.
func (b *Broker) bounds(ctx context.Context, stream Stream, r Range) (after, upTo uint64, err error) {
	if upTo, err = b.LastSeq(ctx, stream); err != nil {
		return 0, 0, err
	}
	if after = r.After; after == 0 && !r.Since.IsZero() {
		if after, err = b.before(ctx, stream, r.Since, upTo); err != nil {
			return 0, 0, err
		}
	}
	if !r.Until.IsZero() {
		upTo, err = b.before(ctx, stream, r.Until, upTo)
	}
	return after, upTo, err
}

// chunk is what a stream holds between two sequences, in order.
type chunk struct {
	messages []Message
	bytes    int
	whole    bool // no message between them is missing
}

// sparse tells whether twice as much could have been asked for.
func (c chunk) sparse() bool { return len(c.messages) < chunkMessages/2 && c.bytes < chunkBytes/2 }

// readChunk reads what is above one sequence and up to another.
func (b *Broker) readChunk(ctx context.Context, stream Stream, subjects []string, after, upTo uint64) (chunk, error) {
	if len(subjects) == 0 {
		subjects = []string{">"}
	}
	read := chunk{whole: true}
	for _, subject := range subjects {
		whole, err := b.batch(ctx, stream, subject, after, func(m Message) (more bool) {
			if m.Seq <= upTo {
				read.messages = append(read.messages, m)
				read.bytes += len(m.Data)
			}
			return m.Seq < upTo
		})
		if err != nil || !whole {
			return chunk{}, err
		}
	}
	slices.SortFunc(read.messages, func(a, b Message) int { return cmp.Compare(a.Seq, b.Seq) })
	read.messages = slices.CompactFunc(read.messages, func(a, b Message) bool { return a.Seq == b.Seq })
	return read, nil
}

// batch asks for the messages under a subject that are above a sequence, with
// one request, until take wants no more. It reports whether none was left out
// that take would have wanted. The server has no such bound; nats.go does not
// have the request.
func (b *Broker) batch(ctx context.Context, stream Stream, subject string, after uint64, take func(Message) (more bool)) (whole bool, err error) {
	request, err := json.Marshal(map[string]any{
		"seq": after + 1, "next_by_subj": subject, "batch": chunkMessages, "max_bytes": chunkBytes,
	})
	if err != nil {
		return false, err
	}
	inbox := b.conn.NewInbox()
	replies, err := b.conn.SubscribeSync(inbox)
	if err != nil {
		return false, mapError(err)
	}
	defer func() { _ = replies.Unsubscribe() }()
	if err := b.conn.PublishRequest("$JS.API.DIRECT.GET."+string(stream), inbox, request); err != nil {
		return false, mapError(err)
	}
	for {
		reply, err := b.nextReply(ctx, replies)
		if err != nil {
			return false, mapError(err)
		}
		if reply.Header.Get(jetstream.SequenceHeader) == "" {
			return endOfBatch(reply.Header)
		}
		message, err := directMessage(stream, reply)
		if err != nil {
			return false, err
		}
		if !take(message) {
			return true, nil
		}
	}
}

func (b *Broker) nextReply(ctx context.Context, replies *nats.Subscription) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	return replies.NextMsgWithContext(ctx)
}

// endOfBatch reads what the server says after the last message of a batch.
func endOfBatch(header nats.Header) (whole bool, err error) {
	switch status := header.Get("Status"); status {
	case "204":
		return header.Get("Nats-Num-Pending") == "0", nil
	case "404":
		return true, nil
	case "503":
		return false, mapError(nats.ErrNoResponders)
	default:
		return false, fmt.Errorf("NATS answers %s %s", status, header.Get("Description"))
	}
}

// directMessage reads a message as the server sends it when it is asked for
// outside of a consumer: where it is stored is told in its last headers.
func directMessage(stream Stream, reply *nats.Msg) (Message, error) {
	last := func(name string) string {
		values := reply.Header.Values(name)
		if len(values) == 0 {
			return ""
		}
		return values[len(values)-1]
	}
	seq, err := strconv.ParseUint(last(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		return Message{}, fmt.Errorf("sequence of a message: %w", err)
	}
	at, err := time.Parse(time.RFC3339Nano, last(jetstream.TimeStampHeaer))
	if err != nil {
		return Message{}, fmt.Errorf("time of a message: %w", err)
	}
	subject := last(jetstream.SubjectHeader)
	if subject == "" {
		return Message{}, errors.New("a message without its subject")
	}
	return Message{Stream: stream, Subject: subject, Seq: seq, Stored: at, Header: reply.Header, Data: reply.Data}, nil
}

// natsPrefix begins the headers that are NATS's own.
const natsPrefix = "nats-"

// withoutNATS returns the headers that whoever published a message gave it.
func withoutNATS(header map[string][]string) map[string][]string {
	own := make(map[string][]string, len(header))
	for name, values := range header {
		if !strings.HasPrefix(strings.ToLower(name), natsPrefix) {
			own[name] = values
		}
	}
	return own
}
