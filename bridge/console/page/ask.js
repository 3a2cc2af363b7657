// Questions to the bridge: the same queries that cx.rpc.bridge.* answers.

export class Refused extends Error {
  constructor(status, text) { super(text); this.status = status; }
}

async function post(path, body) {
  let response;
  try {
    response = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  } catch {
    throw new Refused(0, "the bridge does not answer");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) {
    if (response.status === 401) document.dispatchEvent(new Event("stranger"));
    throw new Refused(response.status, answer.error ?? `status ${response.status}`);
  }
  return answer;
}

export const ask = (query, request = {}) => post(`/console/ask/${query}`, request);
export const login = (token) => post("/console/login", { token });
export const logout = () => post("/console/logout", {});
export async function session() {
  const response = await fetch("/console/session");
  return { known: response.ok, ...(await response.json()) };
}
