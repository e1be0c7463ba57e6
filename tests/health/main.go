// Says what tools that wait make of an object: kstatus, which Helm and Flux go by, and a health script of Argo CD's.
//
//	health SCRIPT.lua < objects.json
//
// The input is a JSON list of objects; the output is a list of verdicts in the same order.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A script that takes longer is given up, as Argo CD does.
const patience = time.Second

// The words that Argo CD takes from a script.
var healthWords = []string{"Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown"}

type said struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

type verdict struct {
	Kstatus said `json:"kstatus"`
	ArgoCD  said `json:"argocd"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "health:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: health SCRIPT.lua < objects.json")
	}
	script, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	var objects []map[string]any
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		return fmt.Errorf("the input: %w", err)
	}
	verdicts := make([]verdict, len(objects))
	for i, object := range objects {
		// Numbers as client-go decodes them: kstatus reads a generation as a whole number.
		whole := unstructured.Unstructured{}
		bytes, err := json.Marshal(object)
		if err != nil {
			return err
		}
		if err := whole.UnmarshalJSON(bytes); err != nil {
			return fmt.Errorf("object %d: %w", i, err)
		}
		result, err := status.Compute(&whole)
		if err != nil {
			return fmt.Errorf("object %d: kstatus: %w", i, err)
		}
		verdicts[i].Kstatus = said{result.Status.String(), result.Message}
		if verdicts[i].ArgoCD, err = argoCD(string(script), whole.Object); err != nil {
			return fmt.Errorf("object %d: the script: %w", i, err)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(verdicts)
}

// argoCD runs the script as Argo CD does: the object is the global obj, and of Lua's libraries there are no more than
// the basic functions, package and table. What has a deletionTimestamp it calls Progressing without asking the script.
func argoCD(script string, object map[string]any) (said, error) {
	if metadata, ok := object["metadata"].(map[string]any); ok && metadata["deletionTimestamp"] != nil {
		return said{"Progressing", "Pending deletion"}, nil
	}
	vm := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer vm.Close()
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable}} {
		open := lua.P{Fn: vm.NewFunction(library.open), Protect: true}
		if err := vm.CallByParam(open, lua.LString(library.name)); err != nil {
			return said{}, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	vm.SetContext(ctx)
	vm.SetGlobal("obj", value(vm, object))
	if err := vm.DoString(script); err != nil {
		return said{}, err
	}
	table, ok := vm.Get(-1).(*lua.LTable)
	if !ok {
		return said{}, fmt.Errorf("it returns %s, not a table", vm.Get(-1).Type())
	}
	health := said{table.RawGetString("status").String(), table.RawGetString("message").String()}
	for _, word := range healthWords {
		if health.Status == word {
			return health, nil
		}
	}
	return said{}, fmt.Errorf("it returns the status %q", health.Status)
}

func value(vm *lua.LState, of any) lua.LValue {
	switch of := of.(type) {
	case bool:
		return lua.LBool(of)
	case int64:
		return lua.LNumber(of)
	case float64:
		return lua.LNumber(of)
	case string:
		return lua.LString(of)
	case []any:
		list := vm.NewTable()
		for _, item := range of {
			list.Append(value(vm, item))
		}
		return list
	case map[string]any:
		table := vm.NewTable()
		for name, item := range of {
			table.RawSetString(name, value(vm, item))
		}
		return table
	default:
		return lua.LNil
	}
}
