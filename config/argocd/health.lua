-- Health of a RegistryCredential for Argo CD, which takes a custom resource that it doesn't know for healthy at once.
-- It belongs into the ConfigMap argocd-cm, under the key resource.customizations.health.regcred.dev_RegistryCredential.
-- Where argocd-cm isn't managed by something else (then put it there), this adds that one key and leaves the others:
--   kubectl -n argocd create configmap argocd-cm --dry-run=client -o yaml \
--     --from-file=resource.customizations.health.regcred.dev_RegistryCredential=health.lua |
--   kubectl apply --server-side --field-manager=regcred-health -f -

-- What the status says of an older generation is no answer about this one, and neither is the default of the CRD, which
-- is there before regcred is.
local status = obj.status
if status == nil or status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "Waiting for regcred to see this generation"}
end

local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local function is(type, wanted)
  return conditions[type] ~= nil and conditions[type].status == wanted
end

local function health(word, condition)
  local message = condition.reason
  if condition.message ~= nil and condition.message ~= "" then
    message = message .. ": " .. condition.message
  end
  return {status = word, message = message}
end

-- Before Ready and Stalled, which then speak of what was rolled out before.
if is("Suspended", "True") then
  return health("Suspended", conditions.Suspended)
end
if is("Stalled", "True") then
  return health("Degraded", conditions.Stalled)
end
-- Most of these failures wait for a person, and Argo CD has no timeout after which an endless Progressing would be
-- noticed.
if is("Ready", "False") and conditions.Ready.reason == "PartiallyReady" then
  return health("Degraded", conditions.Ready)
end
if is("Reconciling", "True") then
  return health("Progressing", conditions.Reconciling)
end
if is("Ready", "True") then
  return health("Healthy", conditions.Ready)
end
return {status = "Progressing", message = "Ready isn't True yet"}
