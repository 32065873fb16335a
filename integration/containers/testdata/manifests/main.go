// Command manifests reads Kubernetes objects from a file, strictly: an unknown field, a field twice, a wrong type or an unknown kind is an
// error. It is a module of its own: etagfs needs nothing of Kubernetes.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err == nil {
		err = check(text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// check reads each document of a file.
func check(text []byte) error {
	var all []error
	for i, document := range bytes.Split(text, []byte("\n---\n")) {
		if err := checkOne(document); err != nil {
			all = append(all, fmt.Errorf("document %d: %w", i+1, err))
		}
	}
	return errors.Join(all...)
}

func checkOne(document []byte) error {
	var head struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal(document, &head); err != nil {
		return err
	}
	kinds := map[string]any{
		"v1 Secret": &corev1.Secret{}, "v1 Service": &corev1.Service{},
		"apps/v1 StatefulSet": &appsv1.StatefulSet{}, "apps/v1 Deployment": &appsv1.Deployment{},
	}
	object, ok := kinds[head.APIVersion+" "+head.Kind]
	if !ok {
		return fmt.Errorf("there is no kind %q of %q", head.Kind, head.APIVersion)
	}
	return yaml.UnmarshalStrict(document, object)
}
