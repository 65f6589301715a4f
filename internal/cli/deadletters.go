package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/replay"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/events"
)

type deadLettersCommand struct {
	List  listLetters  `cmd:"" default:"withargs" help:"List the deliveries that were given up, the newest first."`
	Show  showLetters  `cmd:"" help:"Show dead letters whole: each attempt's error, and the body."`
	Tail  tailLetters  `cmd:"" help:"Show dead letters as they are buried, until interrupted."`
	Retry retryLetters `cmd:"" help:"Send what was given up again, in its order, under its own ids."`
	Drop  dropLetters  `cmd:"" help:"Remove dead letters for ever."`
}

// letterFlags select dead letters.
type letterFlags struct {
	systemFlags
	IDs          []string `arg:"" optional:"" name:"id" help:"Ids of letters or of deliveries."`
	Since        moment   `help:"How far back; 90m, 7d, or a time such as 2026-01-31T12:00:00Z."`
	Until        moment   `help:"Up to when; as --since."`
	Bot          string   `env:"TOWPATH_BOT" help:"The bot's id; its installations' letters, and those of events that it gave up."`
	Installation string   `help:"The installation's alias or webhook id."`
	Operation    string   `help:"What was asked for, such as webhook_received, message_created, or event_received of a bot."`
	Reason       string   `help:"A part of the reason."`
	Key          string   `aliases:"conversation" help:"The ordering key, or the conversation; --conversation is the same."`
	JSON         bool     `name:"json" help:"One JSON object a line."`
}

// letters turns the flags into what they mean in a Towpath.
func (f letterFlags) letters(installed []store.Installation) replay.Letters {
	letters := replay.Letters{
		IDs: f.IDs, Since: f.Since.Time, Until: f.Until.Time,
		Operation: events.Operation(f.Operation), Reason: f.Reason, Key: f.Key,
	}
	for _, i := range installed {
		inBot := f.Bot == "" || f.Bot == i.BotID
		if inBot && (f.Installation == i.Alias || f.Installation == i.WebhookID || f.Installation == "" && f.Bot != "") {
			letters.Of = append(letters.Of, i.WebhookID)
		}
	}
	switch {
	case f.Installation == "" && f.Bot != "":
		letters.Of = append(letters.Of, f.Bot)
	case f.Installation != "" && len(letters.Of) == 0:
		letters.Of = []string{f.Installation} // it may be gone, and its letters not
	}
	return letters
}

// open connects, and finds out what the flags mean.
func (f letterFlags) open(ctx context.Context, p *program) (*system, replay.Letters, error) {
	if err := replay.Named(f.IDs...); err != nil {
		return nil, replay.Letters{}, err
	}
	s, err := f.connect(ctx, p)
	if err != nil {
		return nil, replay.Letters{}, err
	}
	installed, err := s.store.Installations(ctx)
	if err != nil {
		s.close()
		return nil, replay.Letters{}, err
	}
	return s, f.letters(installed), nil
}

type listLetters struct {
	letterFlags
	Limit int `default:"50" help:"How many at most; 0 for all."`
}

// letterRow is a dead letter in a list.
type letterRow struct {
	ID           string           `json:"id"`
	Delivery     string           `json:"delivery"`
	Time         time.Time        `json:"time"` // of its burial
	Installation string           `json:"installation"`
	Operation    events.Operation `json:"operation,omitempty"`
	Attempts     int              `json:"attempts"`
	Reason       string           `json:"reason"`
	Stream       broker.Stream    `json:"stream"`
	Seq          uint64           `json:"seq"`
	Stored       time.Time        `json:"stored"`
	Subscription string           `json:"subscription,omitempty"`
}

func letterRowOf(l broker.Letter) letterRow {
	return letterRow{
		ID: l.ID, Delivery: l.Delivery, Time: l.Buried, Installation: l.Installation, Operation: l.Operation, Attempts: l.Attempts,
		Reason: l.Reason, Stream: l.Stream, Seq: l.Seq, Stored: l.Stored, Subscription: l.Subscription,
	}
}

// Run lists the letters.
func (c *listLetters) Run(ctx context.Context, p *program) error {
	s, letters, err := c.open(ctx, p)
	if err != nil {
		return err
	}
	defer s.close()
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	if !c.JSON {
		fmt.Fprintln(table, lettersHeader)
	}
	listed := 0
	for letter, err := range letters.Newest(ctx, s.broker) {
		if err != nil {
			return err
		}
		if c.JSON {
			if err := json.NewEncoder(p.stdout).Encode(letterRowOf(letter)); err != nil {
				return err
			}
		} else {
			fmt.Fprintln(table, strings.Join(letterCells(letter), "\t"))
		}
		if listed++; listed == c.Limit {
			break
		}
	}
	return table.Flush()
}

const lettersHeader = "TIME\tID\tDELIVERY\tINSTALLATION\tOPERATION\tATTEMPTS\tREASON"

func letterCells(l broker.Letter) []string {
	return []string{
		local(l.Buried), l.ID, oneLine(l.Delivery), l.Installation, string(l.Operation), strconv.Itoa(l.Attempts), oneLine(l.Reason),
	}
}

type tailLetters struct{ letterFlags }

// Run follows the letters.
func (c *tailLetters) Run(ctx context.Context, p *program) error {
	s, letters, err := c.open(ctx, p)
	if err != nil {
		return err
	}
	defer s.close()
	lines := growing{out: p.stdout}
	if !c.JSON {
		if err := lines.print(strings.Split(lettersHeader, "\t")); err != nil {
			return err
		}
	}
	err = letters.Follow(ctx, s.broker, func(letter broker.Letter) error {
		if c.JSON {
			return json.NewEncoder(p.stdout).Encode(letterRowOf(letter))
		}
		return lines.print(letterCells(letter))
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// oneLine makes text from elsewhere fit to be a part of a line.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
}

type showLetters struct{ letterFlags }

// letterShown is a dead letter, whole.
type letterShown struct {
	letterRow
	Errors     []broker.Failure  `json:"errors"`
	Attributes map[string]string `json:"attributes"`
	Body       json.RawMessage   `json:"body,omitempty"`
	NoBody     string            `json:"noBody,omitempty"` // why
}

// Run shows the letters.
func (c *showLetters) Run(ctx context.Context, p *program) error {
	s, letters, err := c.open(ctx, p)
	if err != nil {
		return err
	}
	defer s.close()
	missing := slices.Clone(c.IDs)
	for letter, err := range letters.Newest(ctx, s.broker) {
		if err != nil {
			return err
		}
		missing = slices.DeleteFunc(missing, func(id string) bool { return id == letter.ID || id == letter.Delivery })
		shown := letterShown{letterRow: letterRowOf(letter), Errors: letter.Errors, Attributes: attributes(letter.Header)}
		if shown.Body, err = redactedBody(ctx, s.broker, letter); err != nil {
			shown.NoBody = err.Error()
		}
		if c.JSON {
			err = json.NewEncoder(p.stdout).Encode(shown)
		} else {
			err = shown.print(p.stdout)
		}
		if err != nil {
			return err
		}
	}
	return noSuchLetters(missing)
}

func noSuchLetters(missing []string) error {
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("no dead letter %s: `towpath dead-letters` lists those there are", strings.Join(missing, ", "))
}

// redactedBody returns the body without what is secret, or an error that says
// why there is none to be shown.
func redactedBody(ctx context.Context, b *broker.Broker, letter broker.Letter) (json.RawMessage, error) {
	letter, err := b.Whole(ctx, letter)
	if err != nil {
		return nil, err
	}
	return replay.Body(letter.Operation, false, letter.Body)
}

// print shows the letter to people.
func (l letterShown) print(out io.Writer) error {
	page := newSheet(l.ID)
	page.field("delivery", l.Delivery)
	page.field("installation", l.Installation)
	page.field("operation", string(l.Operation))
	page.field("subscription", l.Subscription)
	page.field("buried", local(l.Time))
	if l.Stream != "" {
		page.field("stored", fmt.Sprintf("%s, in %s under %d", local(l.Stored), l.Stream, l.Seq))
	}
	page.field("reason", l.Reason)
	page.field("attempts", strconv.Itoa(l.Attempts))
	page.failures(l.Errors)
	page.attributes(l.Attributes)
	return page.print(out, l.Body, l.NoBody)
}

// chosen are the flags of what is done to many letters.
type chosen struct {
	letterFlags
	Yes bool `env:"-" help:"Do not ask."`
}

// choose finds the letters, and asks whether they are meant unless they were
// named.
func (c chosen) choose(ctx context.Context, p *program, what string) (*system, []broker.Letter, error) {
	s, letters, err := c.open(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	selected, missing, err := letters.Select(ctx, s.broker)
	if err == nil {
		err = noSuchLetters(missing)
	}
	if err == nil && len(c.IDs) == 0 && len(selected) > 1 && !c.Yes {
		err = p.confirm(ctx, fmt.Sprintf("%s %d dead letters at %s", what, len(selected), s.at))
	}
	if err != nil {
		s.close()
		return nil, nil, err
	}
	return s, selected, nil
}

type retryLetters struct{ chosen }

// letterRetried is what became of one letter.
type letterRetried struct {
	ID       string        `json:"id"`
	Delivery string        `json:"delivery"`
	Stream   broker.Stream `json:"stream,omitempty"`
	Seq      uint64        `json:"seq,omitempty"`
	Skipped  string        `json:"skipped,omitempty"` // why
}

// Run sends the letters again.
func (c *retryLetters) Run(ctx context.Context, p *program) error {
	s, selected, err := c.choose(ctx, p, "Send again")
	if err != nil {
		return err
	}
	defer s.close()
	var retried, skipped int
	err = p.each(ctx, len(selected), func(ctx context.Context, i int) error {
		letter := selected[i]
		receipt, err := replay.Retry(ctx, s.broker, letter)
		become := letterRetried{ID: letter.ID, Delivery: letter.Delivery, Stream: receipt.Stream, Seq: receipt.Seq}
		switch {
		case replay.Skippable(err):
			skipped++
			become.Skipped = err.Error()
		case err != nil:
			return err
		default:
			retried++
		}
		if c.JSON {
			return json.NewEncoder(p.stdout).Encode(become)
		}
		if become.Skipped != "" {
			fmt.Fprintf(p.stderr, "skipped %s: %s\n", letter.ID, become.Skipped)
		}
		return nil
	})
	if c.JSON {
		_ = json.NewEncoder(p.stdout).Encode(map[string]int{"retried": retried, "skipped": skipped})
	} else {
		fmt.Fprintf(p.stdout, "retried=%d skipped=%d\n", retried, skipped)
	}
	if err != nil {
		return fmt.Errorf("%d of %d letters stay: run it again to go on: %w", len(selected)-retried, len(selected), err)
	}
	if skipped > 0 {
		return errors.New("what was skipped cannot be sent again; `towpath dead-letters drop` removes it")
	}
	return nil
}

type dropLetters struct{ chosen }

// Run removes the letters.
func (c *dropLetters) Run(ctx context.Context, p *program) error {
	s, selected, err := c.choose(ctx, p, "Remove for ever")
	if err != nil {
		return err
	}
	defer s.close()
	dropped := 0
	err = p.each(ctx, len(selected), func(ctx context.Context, i int) error {
		if err := s.broker.DropLetter(ctx, selected[i].Place); err != nil {
			return err
		}
		dropped++
		return nil
	})
	if c.JSON {
		_ = json.NewEncoder(p.stdout).Encode(map[string]int{"dropped": dropped})
	} else {
		fmt.Fprintf(p.stdout, "dropped=%d\n", dropped)
	}
	return err
}
