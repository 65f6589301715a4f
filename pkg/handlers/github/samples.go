package github

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

const (
	sampleRepository = "towpath/example"
	sampleCommit     = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"
	noCommit         = "0000000000000000000000000000000000000000"
)

var samples = handlers.Samples[Config]{
	"issues_opened": {Title: "somebody opens an issue", Build: sample(onIssues, func(a handlers.SampleArgs) object {
		return object{"action": "opened", "issue": sampleIssue(a, "issues")}
	})},
	"issues_closed": {Title: "somebody closes an issue", Build: sample(onIssues, func(a handlers.SampleArgs) object {
		issue := sampleIssue(a, "issues")
		issue["state"], issue["state_reason"], issue["closed_at"] = "closed", "completed", moment(a.Now)
		return object{"action": "closed", "issue": issue}
	})},
	"pull_request_opened": {Title: "somebody opens a pull request", Build: sample(onPullRequest, func(a handlers.SampleArgs) object {
		return object{"action": "opened", "number": place(a).number, "pull_request": samplePullRequest(a)}
	})},
	"pull_request_merged": {Title: "somebody merges a pull request", Build: sample(onPullRequest, func(a handlers.SampleArgs) object {
		pull := samplePullRequest(a)
		pull["state"], pull["merged"], pull["merged_at"], pull["merge_commit_sha"] = "closed", true, moment(a.Now), sampleCommit
		return object{"action": "closed", "number": place(a).number, "pull_request": pull}
	})},
	"push": {Title: "somebody pushes a commit to main", Build: sample(onPush, func(a handlers.SampleArgs) object {
		commit := object{
			"id": sampleCommit, "message": a.Text, "timestamp": moment(a.Now), "url": "https://github.com/" + place(a).repository + "/commit/" + sampleCommit,
			"author": object{"name": a.User, "email": "somebody@example.com", "username": a.User},
			"added":  []string{"rope.txt"}, "removed": []string{}, "modified": []string{"README.md"}, "distinct": true,
		}
		return object{
			"ref": "refs/heads/main", "before": strings.Repeat("1", len(noCommit)), "after": sampleCommit, "created": false, "deleted": false, "forced": false,
			"compare": "https://github.com/" + place(a).repository + "/compare/111111111111..." + sampleCommit[:12],
			"commits": []object{commit}, "head_commit": commit, "pusher": object{"name": a.User, "email": "somebody@example.com"},
		}
	})},
	"issue_comment": {Title: "somebody comments on an issue", Build: sample(onComment, func(a handlers.SampleArgs) object {
		return object{"action": "created", "issue": sampleIssue(a, "issues"), "comment": sampleComment(a, account(a.User, "User"))}
	})},
	"issue_comment_bot": {Title: "a bot comments on a pull request", Build: sample(onComment, func(a handlers.SampleArgs) object {
		issue := sampleIssue(a, "pull")
		issue["pull_request"] = object{"html_url": issue["html_url"]}
		return object{"action": "created", "issue": issue, "comment": sampleComment(a, account("ci[bot]", "Bot"))}
	})},
	"ping": {Title: "GitHub tries a new webhook", Build: sample(onPing, func(handlers.SampleArgs) object {
		return object{"zen": "Anything added dilutes everything else.", "hook_id": 109948940, "hook": object{"type": "Repository", "events": []string{"*"}}}
	})},
}

// sample builds a signed delivery. The conversation is "owner/name#number", or
// any text, which always makes the same number.
func sample(event string, about func(handlers.SampleArgs) object) func(handlers.SampleArgs, Config) (*events.Request, error) {
	return func(a handlers.SampleArgs, configuration Config) (*events.Request, error) {
		told, at := about(a), place(a)
		told["repository"] = repository(at.repository)
		told["sender"] = account(a.User, "User")
		body, err := json.Marshal(told)
		if err != nil {
			return nil, fmt.Errorf("encode sample: %w", err)
		}
		header := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"GitHub-Hookshot/044aadd"}}
		for name, value := range map[string]string{
			headerEvent: event, headerDelivery: a.ID, "X-GitHub-Hook-ID": "109948940",
			"X-GitHub-Hook-Installation-Target-Type": "repository", "X-GitHub-Hook-Installation-Target-ID": "186853002",
		} {
			header.Set(name, value)
		}
		message := signature.Message{Header: header, Body: body}
		if err := signature.GitHub.Sign(&message, configuration.WebhookSecret[0].Reveal(), a.Now); err != nil {
			return nil, fmt.Errorf("sign sample: %w", err)
		}
		return &events.Request{Method: http.MethodPost, Path: "/", Header: message.Header, Body: message.Body}, nil
	}
}

type spot struct {
	repository string
	number     int
}

func place(a handlers.SampleArgs) spot {
	if name, number, ok := strings.Cut(a.Conversation, "#"); ok && repositoryForm.MatchString(name) && numberForm.MatchString(number) {
		n, _ := strconv.Atoi(number) // it is one
		return spot{name, n}
	}
	return spot{sampleRepository, 1 + int(idOf(a.Conversation)%9000)}
}

func repository(name string) object {
	owner, short, _ := strings.Cut(name, "/")
	return object{
		"id": 186853002, "name": short, "full_name": name, "private": false, "html_url": "https://github.com/" + name,
		"owner": account(owner, "Organization"), "default_branch": "main",
	}
}

func account(login, typ string) object {
	return object{"id": idOf(login), "login": login, "type": typ, "html_url": "https://github.com/" + login, "site_admin": false}
}

// idOf is a number that a text always makes, as large as GitHub's are.
func idOf(text string) int64 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(text)) // a hash never fails
	return int64(h.Sum32())
}

func sampleIssue(a handlers.SampleArgs, kind string) object {
	at := place(a)
	return object{
		"id": 444500041, "number": at.number, "title": "The rope is too short", "body": a.Text, "state": "open", "state_reason": nil,
		"html_url": fmt.Sprintf("https://github.com/%s/%s/%d", at.repository, kind, at.number),
		"user":     account(a.User, "User"), "labels": []object{{"id": 1362934389, "name": "bug", "color": "d73a4a"}},
		"assignees": []object{account("keeper", "User")}, "assignee": account("keeper", "User"), "milestone": nil, "locked": false,
		"comments": 0, "created_at": moment(a.Now), "updated_at": moment(a.Now), "closed_at": nil,
	}
}

func samplePullRequest(a handlers.SampleArgs) object {
	pull := sampleIssue(a, "pull")
	repo := repository(place(a).repository)
	pull["draft"], pull["merged"], pull["merged_at"] = false, false, nil
	pull["head"] = object{"ref": "longer-rope", "sha": sampleCommit, "repo": repo}
	pull["base"] = object{"ref": "main", "sha": strings.Repeat("1", len(sampleCommit)), "repo": repo}
	return pull
}

func sampleComment(a handlers.SampleArgs, who object) object {
	at, id := place(a), idOf("comment "+a.ID)
	return object{
		"id": id, "body": a.Text, "user": who, "created_at": moment(a.Now), "updated_at": moment(a.Now),
		"html_url": fmt.Sprintf("https://github.com/%s/issues/%d#issuecomment-%d", at.repository, at.number, id),
	}
}

func moment(at time.Time) string { return at.UTC().Format(time.RFC3339) }
