package whatsapp

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/rest"
)

// apiVersion is the version of the Graph API that is spoken.
const apiVersion = "v24.0"

// api returns the Graph API for an installation.
func api(p handlers.Props[Config]) rest.API {
	c := p.Ctx.Configuration
	base := cmp.Or(c.APIURL, "https://graph.facebook.com")
	return rest.API{
		Name: "WhatsApp", HTTP: p.HTTP, Refused: refused,
		Base:   strings.TrimSuffix(base, "/") + "/" + apiVersion,
		Header: http.Header{"Authorization": {"Bearer " + c.AccessToken.Reveal()}},
	}
}

// number is the path of the installation's phone number.
func number(p handlers.Props[Config]) string {
	return url.PathEscape(p.Ctx.Configuration.PhoneNumberID)
}

// post sends one message and returns WhatsApp's id of it. It is taken then, not
// delivered: that comes by a status.
func post(ctx context.Context, p handlers.Props[Config], m outbound) (string, error) {
	var taken struct {
		Messages []struct {
			ID string `json:"id"`
		} `json:"messages"`
	}
	if err := api(p).Do(ctx, http.MethodPost, number(p)+"/messages", m, &taken); err != nil {
		return "", err
	}
	if len(taken.Messages) == 0 || taken.Messages[0].ID == "" {
		return "", errors.New("POST messages: the answer has no id; is apiUrl the Graph API's?")
	}
	return taken.Messages[0].ID, nil
}

// refused reads Meta's error, of which the code decides and not the status: a
// limit, for one, comes as 400. An error without a code that is a number, such
// as a gateway's on the way, is told by its status.
func refused(a *rest.Answer) error {
	var body struct {
		Error *struct {
			Message string          `json:"message"`
			Code    json.RawMessage `json:"code"`
			Data    struct {
				Details string `json:"details"`
			} `json:"error_data"`
		} `json:"error"`
	}
	_ = json.Unmarshal(a.Body, &body) // what is no JSON is no error of Meta's
	if body.Error == nil {
		return nil
	}
	says := cmp.Or(body.Error.Data.Details, body.Error.Message)
	code, err := strconv.Atoi(string(body.Error.Code))
	if err != nil {
		return a.Error("", says).Judge()
	}
	what := meaningOf(code)
	if what.advice != "" {
		says = fmt.Sprintf("%s (%d): %s", strings.TrimSuffix(cut(says), "."), code, what.advice)
	}
	e := a.Error(strconv.Itoa(code), says)
	switch what.decision {
	case handlers.Retry:
		if after, told := regained(a.Header); told {
			return e.RetryAfter(after)
		}
		if what.after > 0 && a.Header.Get("Retry-After") == "" {
			return e.RetryAfter(what.after)
		}
		return e.Retry()
	case handlers.Pause:
		return e.Unauthorized()
	case handlers.GiveUp:
		return e.Permanent()
	default:
		return e.Judge()
	}
}

// cut leaves room for the advice behind Meta's own words.
func cut(says string) string {
	const room = 120
	if len(says) <= room {
		return says
	}
	return strings.ToValidUTF8(says[:room], "") + "…"
}

// regained reads how long a limit lasts out of the header by which Meta tells
// it, in minutes: the longest of all that it lists.
func regained(header http.Header) (time.Duration, bool) {
	var usage map[string][]struct {
		Minutes float64 `json:"estimated_time_to_regain_access"`
	}
	if json.Unmarshal([]byte(header.Get("X-Business-Use-Case-Usage")), &usage) != nil {
		return 0, false
	}
	var longest float64
	for _, all := range usage {
		for _, one := range all {
			longest = max(longest, one.Minutes)
		}
	}
	// Compared before it is converted: a Duration holds no more than 292 years.
	return time.Duration(min(longest, 24*60) * float64(time.Minute)), longest > 0
}

// code is what one of Meta's error codes means for a delivery, and what to do
// about it where there is something to say.
type code struct {
	decision handlers.Decision
	advice   string
	after    time.Duration // of a Retry for which Meta says nothing else
}

// outsideWindow is the advice for what most often goes wrong.
const outsideWindow = "the person has not written for more than 24 hours, so only a template may be sent: " +
	"use a message of type template or the action sendTemplate"

// pairPause is how long one has to wait to write to one person again.
const pairPause = 6 * time.Second

const (
	checkToken    = "check accessToken and its permissions whatsapp_business_messaging and whatsapp_business_management"
	checkAccount  = "look into the account at business.facebook.com"
	checkTemplate = "check the template in WhatsApp Manager: its name, language, parameters and approval"
)

// meaning holds the documented codes.
var meaning = map[int]code{
	1:      {decision: handlers.Retry},
	2:      {decision: handlers.Retry},
	4:      {decision: handlers.Retry},
	80007:  {decision: handlers.Retry},
	130429: {decision: handlers.Retry},
	131000: {decision: handlers.Retry},
	131016: {decision: handlers.Retry},
	131056: {decision: handlers.Retry, after: pairPause},
	131057: {decision: handlers.Retry, after: time.Minute},
	133016: {decision: handlers.Retry, after: time.Hour},

	0:      {decision: handlers.Pause, advice: checkToken},
	3:      {decision: handlers.Pause, advice: checkToken},
	10:     {decision: handlers.Pause, advice: checkToken},
	190:    {decision: handlers.Pause, advice: checkToken},
	131005: {decision: handlers.Pause, advice: checkToken},
	131031: {decision: handlers.Pause, advice: "the account is locked: " + checkAccount},
	131042: {decision: handlers.Pause, advice: "there is something wrong with the payment method: " + checkAccount},
	131045: {decision: handlers.Pause, advice: "register the phone number again"},

	33:     {decision: handlers.GiveUp, advice: "check phoneNumberId"},
	100:    {decision: handlers.GiveUp, advice: "check phoneNumberId and what is sent"},
	368:    {decision: handlers.GiveUp, advice: "the account is restricted for breaking a policy: " + checkAccount},
	130472: {decision: handlers.GiveUp, advice: "the person's number is part of an experiment of Meta's"},
	131008: {decision: handlers.GiveUp, advice: "something required is missing"},
	131009: {decision: handlers.GiveUp, advice: "a value is not valid"},
	131021: {decision: handlers.GiveUp, advice: "a number cannot write to itself"},
	131026: {decision: handlers.GiveUp, advice: "the person cannot be reached: not on WhatsApp, or with a version that is too old"},
	131030: {decision: handlers.GiveUp, advice: "a test number writes only to the numbers on its list"},
	131037: {decision: handlers.GiveUp, advice: "the phone number's display name must be approved first"},
	131047: {decision: handlers.GiveUp, advice: outsideWindow},
	131048: {decision: handlers.GiveUp, advice: "too many of this number's messages were blocked or reported as spam; send less"},
	131049: {decision: handlers.GiveUp, advice: "Meta held it back to keep people from getting too much advertising; do not send it again soon"},
	131050: {decision: handlers.GiveUp, advice: "the person does not want advertising from this business"},
	131051: {decision: handlers.GiveUp, advice: "WhatsApp does not know this type of message"},
	131052: {decision: handlers.GiveUp, advice: "the media could not be read"},
	131053: {decision: handlers.GiveUp, advice: "the media could not be used: check that its URL is public, and its type and size"},
	131062: {decision: handlers.GiveUp, advice: "this message needs the person's phone number, of which only the user id is known"},
	131064: {decision: handlers.GiveUp, advice: "the person has asked for no more messages like this"},
	135000: {decision: handlers.GiveUp, advice: "check what is sent"},
}

// meaningOf knows the ranges, too; the zero code for what is decided by the
// status.
func meaningOf(number int) code {
	known, ok := meaning[number]
	switch {
	case ok:
		return known
	case number >= 200 && number <= 299:
		return code{decision: handlers.Pause, advice: checkToken}
	case number >= 132000 && number <= 132999:
		return code{decision: handlers.GiveUp, advice: checkTemplate}
	}
	return code{}
}
