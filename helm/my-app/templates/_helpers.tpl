{{/* The labels of every object. Selectors use only the name, so that a change of team replaces no pod. */}}
{{- define "my-app.labels" -}}
app.kubernetes.io/name: {{ .Values.name }}
app.kubernetes.io/part-of: {{ .Values.team }}
{{- end }}

{{- define "my-app.selector" -}}
app.kubernetes.io/name: {{ .Values.name }}
{{- end }}

{{/* For kinds whose CRD belongs to another Application, which may be synced later. */}}
{{- define "my-app.later" -}}
argocd.argoproj.io/sync-options: SkipDryRunOnMissingResource=true
{{- end }}

{{- define "my-app.image" -}}
{{ with .Values.image.registry }}{{ . }}/{{ end }}{{ .Values.name }}:{{ .Values.image.tag }}@{{ .Values.image.digest }}
{{- end }}

{{/* The name depends on the values, so that pods of two versions each keep their own ConfigMap. */}}
{{- define "my-app.config" -}}
{{ .Values.name }}-{{ toJson .Values.config | sha256sum | trunc 10 }}
{{- end }}

{{- define "my-app.rollout" -}}
{{ if eq .Values.workload.kind "Rollout" }}true{{ end }}
{{- end }}

{{/* The Services that take turns as stable version and canary: each has the name that is set, or its own. */}}
{{- define "my-app.ping" -}}
{{ .Values.workload.pingPong.pingService | default (printf "%s-ping" .Values.name) }}
{{- end }}

{{- define "my-app.pong" -}}
{{ .Values.workload.pingPong.pongService | default (printf "%s-pong" .Values.name) }}
{{- end }}

{{/* The pod template of a Rollout or a Deployment. */}}
{{- define "my-app.pod" -}}
metadata:
  labels:
    {{- include "my-app.labels" . | nindent 4 }}
spec:
  serviceAccountName: {{ .Values.name }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  securityContext:
    runAsNonRoot: true
    runAsUser: {{ int .Values.runAsUser }}
    runAsGroup: {{ int .Values.runAsUser }}
    seccompProfile:
      type: RuntimeDefault
  topologySpreadConstraints:
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - topologyKey: {{ . }}
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "my-app.selector" $ | nindent 10 }}
      matchLabelKeys:
        - {{ if include "my-app.rollout" $ }}rollouts-{{ end }}pod-template-hash
    {{- end }}
  terminationGracePeriodSeconds: {{ add 25 .Values.shutdownSeconds 10 }}
  containers:
    - name: {{ .Values.name }}
      image: {{ include "my-app.image" . }}
      ports:
        - name: http
          containerPort: {{ .Values.port }}
          protocol: TCP
        {{- if .Values.metrics.port }}
        - name: metrics
          containerPort: {{ .Values.metrics.port }}
          protocol: TCP
        {{- end }}
      {{- if or .Values.config .Values.database.secretKey }}
      envFrom:
        {{- if .Values.config }}
        - configMapRef:
            name: {{ include "my-app.config" . }}
        {{- end }}
        {{- if .Values.database.secretKey }}
        - secretRef:
            name: database
        {{- end }}
      {{- end }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      startupProbe:
        httpGet:
          path: {{ .Values.probes.startup.path }}
          port: http
        periodSeconds: 5
        failureThreshold: {{ div (add .Values.probes.startup.seconds 4) 5 }}
      livenessProbe:
        httpGet:
          path: {{ .Values.probes.liveness.path }}
          port: http
        periodSeconds: 10
        timeoutSeconds: 2
        failureThreshold: 3
      readinessProbe:
        httpGet:
          path: {{ .Values.probes.readiness.path }}
          port: http
        periodSeconds: 5
        timeoutSeconds: 2
        failureThreshold: 3
      lifecycle:
        # The load balancer keeps sending requests to a terminating pod for a while.
        preStop:
          sleep:
            seconds: 25
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop:
            - ALL
      volumeMounts:
        - name: tmp
          mountPath: /tmp
  volumes:
    - name: tmp
      emptyDir:
        sizeLimit: {{ .Values.tmpSize }}
{{- end }}
