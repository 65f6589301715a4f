package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/rest"
	"github.com/towpath/towpath/pkg/handlers/texts"
)

const (
	maxComment = 65_536 // characters of a comment
	pageSize   = 100    // comments of a page; GitHub gives no more

	// skew is how far GitHub's clock may be behind ours.
	skew = time.Hour
)

// comment posts a message of a type as a comment, or as several in order if it
// is longer than one may be.
//
// An attempt after the first looks for what is there already, and so does the
// first for a message of several comments: nothing is posted twice, unless
// GitHub does not list yet what it took a moment before.
func comment[M events.Payload]() handlers.Message[Config] {
	return handlers.NewMessage(func(ctx context.Context, p handlers.MessageProps[Config, M]) error {
		text, err := texts.Markdown(p.Payload)
		if err != nil {
			return refuse(err)
		}
		parts := texts.Split(text, maxComment-markLength, texts.Characters)
		if len(parts) == 0 {
			return refuse(errors.New("there is nothing in the message"))
		}
		to, err := placeOf(p.Conversation)
		if err != nil {
			return refuse(err)
		}
		if p.Ctx.Configuration.Token.Reveal() == "" {
			return refuse(errors.New("no token is configured: without one, the bot can only listen"))
		}
		posted := map[string]int64{}
		if p.Delivery.Attempt > 1 || p.Delivery.Replayed || len(parts) > 1 {
			if posted, err = look(ctx, p.Props, to, p.Message.CreatedAt); err != nil {
				return ofOnePlace(err)
			}
		}
		first := int64(0)
		for i, part := range parts {
			mark := markFor(p.Ctx.WebhookID, p.Delivery.ID, i)
			id := posted[mark]
			if id == 0 {
				if id, err = post(ctx, p.Props, to, part+markHead+mark+markTail); err != nil {
					return ofOnePlace(err)
				}
			}
			if i == 0 {
				first = id
			}
		}
		return p.Ack(ctx, client.Tags{tagComment: strconv.FormatInt(first, 10)})
	})
}

// refuse gives up what the bot's owner can put right.
func refuse(err error) error { return handlers.Permanent(handlers.NewRuntimeError(err.Error(), nil)) }

// ofOnePlace gives up a message that the token is not good enough for: it may
// well be for other repositories, whose messages must not wait for this one. A
// token that is good for nothing is refused with 401.
func ofOnePlace(err error) error {
	answer, ok := errors.AsType[*rest.Error](err)
	if ok && answer.Status == http.StatusForbidden && handlers.Judge(err).Decision == handlers.Pause {
		return answer.Permanent()
	}
	return err
}

var (
	repositoryForm = regexp.MustCompile(`^[A-Za-z0-9_-]+/[A-Za-z0-9._-]+$`)
	numberForm     = regexp.MustCompile(`^[1-9][0-9]{0,9}$`)
)

// placeOf is the path of the comments of a conversation. A bot may have made the
// conversation itself, with tags of its own making.
func placeOf(c client.Conversation) (string, error) {
	repository, number := c.Tags[tagRepository], c.Tags[tagNumber]
	if !repositoryForm.MatchString(repository) || !numberForm.MatchString(number) {
		return "", fmt.Errorf("the conversation's tags are repository %q and number %q: they must be owner/name and a number", repository, number)
	}
	return "repos/" + repository + "/issues/" + number + "/comments", nil
}

func post(ctx context.Context, p handlers.Props[Config], to, body string) (int64, error) {
	var made wireComment
	err := api(p).Do(ctx, http.MethodPost, to, object{"body": body}, &made)
	if err == nil && made.ID == 0 {
		err = errors.New("GitHub: the answer has no id; is apiUrl GitHub's?")
	}
	return made.ID, err
}

// look finds the comments that this installation has posted since a time, by
// their marks.
func look(ctx context.Context, p handlers.Props[Config], at string, since time.Time) (map[string]int64, error) {
	query := url.Values{"since": {since.Add(-skew).UTC().Format(time.RFC3339)}}
	found := map[string]int64{}
	err := pages(ctx, api(p), at, query, func(one wireComment) {
		if mark := ownMark(p.Ctx.WebhookID, one.Body); mark != "" {
			found[mark] = one.ID
		}
	})
	return found, err
}

// pages reads a list to its end.
func pages[T any](ctx context.Context, api rest.API, path string, query url.Values, each func(T)) error {
	for page := 1; ; page++ {
		query.Set("page", strconv.Itoa(page))
		query.Set("per_page", strconv.Itoa(pageSize))
		var all []T
		if err := api.Do(ctx, http.MethodGet, path+"?"+query.Encode(), nil, &all); err != nil {
			return err
		}
		for _, one := range all {
			each(one)
		}
		if len(all) < pageSize {
			return nil
		}
	}
}
