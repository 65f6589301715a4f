package linear

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

// verify holds a request to its signature and to the time in its body. The
// delivery's id, which tells retries apart, is not signed: only the time keeps
// a copied request from being sent again under another one.
func verify(r *events.Request, configuration Config, now time.Time) error {
	scheme := signature.Linear
	if configuration.Tolerance > 0 {
		scheme.Tolerance.Past = signature.Duration(time.Duration(configuration.Tolerance) * time.Second)
	}
	return signature.Verify(scheme, configuration.WebhookSigningSecret.Reveal(), signature.Message{Header: r.Header, Body: r.Body}, now)
}

// What Linear tells of that is looked at, and what happened to it.
const (
	typeIssue   = "Issue"
	typeComment = "Comment"

	actionCreate = "create"
	actionRemove = "remove"
)

// envelope is what Linear posts.
type envelope struct {
	Action      string          `json:"action"`
	Type        string          `json:"type"`
	Actor       *Actor          `json:"actor"`
	URL         string          `json:"url"`
	Data        json.RawMessage `json:"data"`
	UpdatedFrom json.RawMessage `json:"updatedFrom"`
}

func parse(body []byte) (envelope, error) {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return envelope{}, fmt.Errorf("decode body: %w", err)
	}
	if e.Type == "" || e.Action == "" {
		return envelope{}, errors.New("type and action are missing: Linear's requests have them")
	}
	return e, nil
}

// split finds the delivery's id, which is the same in each of Linear's retries,
// and the issue, whose news must stay in order.
func split(r *events.Request, _ Config) ([]handlers.Part, error) {
	id := r.Header.Get("Linear-Delivery")
	if id == "" {
		return nil, errors.New("header Linear-Delivery is missing: a delivery cannot be told from its retries")
	}
	e, err := parse(r.Body)
	if err != nil {
		return nil, err
	}
	var about struct {
		ID      string `json:"id"`
		IssueID string `json:"issueId"`
		Issue   struct {
			ID string `json:"id"`
		} `json:"issue"`
	}
	// What does not fit leaves its field empty; its handler will say so.
	_ = json.Unmarshal(e.Data, &about)
	return []handlers.Part{{ID: id, Key: cmp.Or(about.IssueID, about.Issue.ID, about.ID)}}, nil
}
