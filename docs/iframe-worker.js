// Search runs in a worker, and browsers start none from a file: there a hidden frame takes its place.
// The theme asks for a script of this name; its usual one comes from a network.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.appendChild(frame)
      this.window = frame.contentWindow
      window.addEventListener("message", event => {
        if (event.source !== this.window) return
        const copy = new MessageEvent("message", { data: event.data })
        this.dispatchEvent(copy)
        if (this.onmessage) this.onmessage(copy)
      })
      this.loaded = new Promise(done => { this.window.__loaded = done })
      this.window.document.open()
      this.window.document.write(`<script>
        self.postMessage = data => parent.postMessage(data, "*")
        self.importScripts = (...urls) => urls.reduce((before, url) => before.then(() =>
          new Promise(done => {
            const script = document.createElement("script")
            script.src = url
            script.onload = done
            document.body.appendChild(script)
          })), Promise.resolve())
      <\/script><body><script src="${url}" onload="__loaded()"><\/script></body>`)
      this.window.document.close()
    }

    postMessage(data) {
      this.loaded.then(() => this.window.dispatchEvent(new MessageEvent("message", { data })))
    }

    terminate() {}
  }
}
