package github

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

const (
	headerEvent    = "X-Github-Event"
	headerDelivery = "X-Github-Delivery"
)

// GitHub's names of the events that are looked at.
const (
	onPing        = "ping"
	onIssues      = "issues"
	onPullRequest = "pull_request"
	onPush        = "push"
	onComment     = "issue_comment"
)

func verify(r *events.Request, configuration Config, now time.Time) error {
	return signature.Verify(signature.GitHub, configuration.WebhookSecret.Reveal(), signature.Message{Header: r.Header, Body: r.Body}, now)
}

// pong answers the ping that GitHub sends to a new webhook.
func pong(r *events.Request, _ Config) (*events.Response, bool) {
	if r.Header.Get(headerEvent) != onPing {
		return nil, false
	}
	return &events.Response{Status: http.StatusOK, Header: http.Header{"Content-Type": {"text/plain"}}, Body: []byte("pong")}, true
}

// content is the JSON of a delivery, which a webhook may be set to send in a
// form.
func content(r *events.Request) ([]byte, error) {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // what is none is JSON
	if media != "application/x-www-form-urlencoded" {
		return r.Body, nil
	}
	form, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return nil, fmt.Errorf("decode form: %w", err)
	}
	if !form.Has("payload") {
		return nil, errors.New("decode form: it has no payload")
	}
	return []byte(form.Get("payload")), nil
}

// split finds the delivery's id, which is the same when somebody lets GitHub
// send it again, and what it is about: the issue or pull request, or the branch.
func split(r *events.Request, _ Config) ([]handlers.Part, error) {
	id := r.Header.Get(headerDelivery)
	if id == "" || r.Header.Get(headerEvent) == "" {
		return nil, errors.New("header X-GitHub-Delivery or X-GitHub-Event is missing: GitHub's deliveries have them")
	}
	body, err := content(r)
	if err != nil {
		return nil, err
	}
	var about struct {
		Repository struct {
			FullName string `json:"full_name"`
		} `json:"repository"`
		Issue       numbered `json:"issue"`
		PullRequest numbered `json:"pull_request"`
		Ref         string   `json:"ref"`
	}
	if !json.Valid(body) {
		return nil, errors.New("the body is no JSON")
	}
	_ = json.Unmarshal(body, &about) // what does not fit, in an event that nobody looks at, leaves its field empty
	part := handlers.Part{ID: id, Key: about.Repository.FullName}
	switch number := max(about.Issue.Number, about.PullRequest.Number); {
	case number > 0:
		part.Key += "#" + strconv.Itoa(number)
	case about.Ref != "":
		part.Key += ":" + about.Ref
	}
	return []handlers.Part{part}, nil
}

// numbered is what has a number in its repository.
type numbered struct {
	Number int `json:"number"`
}
