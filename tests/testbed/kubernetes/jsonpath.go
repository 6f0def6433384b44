// What `kubectl wait --for=jsonpath=INPUT` decides about an object, for a line of JSON each. The paths are read and
// followed by kubectl's own packages; what wait itself does with them (pkg/cmd/wait of k8s.io/kubectl) is not exported
// and is said here in other words.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	kubejson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/util/jsonpath"
	"k8s.io/kubectl/pkg/cmd/get"
)

type question struct {
	// What follows `jsonpath=`.
	Input  string          `json:"input"`
	Object json.RawMessage `json:"object"`
}

type answer struct {
	Met   *bool  `json:"met,omitempty"`
	Stage string `json:"stage,omitempty"`
	Error string `json:"error,omitempty"`
}

func answerJSONPaths(in io.Reader, out io.Writer) error {
	lines := json.NewDecoder(in)
	buffered := bufio.NewWriter(out)
	answers := json.NewEncoder(buffered)
	for {
		var asked question
		if err := lines.Decode(&asked); errors.Is(err, io.EOF) {
			return buffered.Flush()
		} else if err != nil {
			return err
		}
		if err := answers.Encode(decide(asked)); err != nil {
			return err
		}
	}
}

func decide(asked question) answer {
	path, value, err := parse(asked.Input)
	if err != nil {
		return answer{Stage: "parse", Error: err.Error()}
	}
	// As the API machinery decodes what has no type: whole numbers are int64, others float64.
	var object map[string]any
	if err := kubejson.Unmarshal(asked.Object, &object); err != nil {
		return answer{Stage: "object", Error: err.Error()}
	}
	met, err := isMet(path, value, object)
	if err != nil {
		return answer{Stage: "find", Error: err.Error()}
	}
	return answer{Met: &met}
}

func parse(input string) (*jsonpath.JSONPath, string, error) {
	path, value, err := divide(input)
	if err != nil {
		return nil, "", err
	}
	relaxed, err := get.RelaxedJSONPathExpression(path)
	if err != nil {
		return nil, "", err
	}
	if relaxed == "" {
		return nil, "", errors.New("no path")
	}
	read := jsonpath.New("wait").AllowMissingKeys(true)
	return read, value, read.Parse(relaxed)
}

// An input is divided at every `=`, but not at a pair of them, wherever it stands.
func divide(input string) (path, value string, err error) {
	// No byte of a valid text.
	const pair = "\xff"
	parts := strings.Split(strings.ReplaceAll(input, "==", pair), "=")
	for i := range parts {
		parts[i] = strings.ReplaceAll(parts[i], pair, "==")
	}
	switch len(parts) {
	case 1:
		return parts[0], "", nil
	case 2:
		value = strings.Trim(parts[1], `'"`)
		if value == "" {
			err = errors.New("no value after =")
		}
		return parts[0], value, err
	default:
		return "", "", errors.New("more than one =")
	}
}

// Without a value, anything that is there will do, null too.
func isMet(path *jsonpath.JSONPath, value string, object map[string]any) (bool, error) {
	lists, err := path.FindResults(object)
	if err != nil || len(lists) == 0 || len(lists[0]) == 0 {
		return false, err
	}
	if len(lists) > 1 || len(lists[0]) > 1 {
		return false, errors.New("more than one value")
	}
	if value == "" {
		return true, nil
	}
	switch found := lists[0][0].Interface().(type) {
	case map[string]any, []any:
		return false, errors.New("an object or a list cannot be compared")
	default:
		return strings.TrimSpace(fmt.Sprint(found)) == strings.TrimSpace(value), nil
	}
}
