// Has the browser make or use a passkey, and sends the form with what comes of it.
'use strict'

document.querySelectorAll('[data-passkey]').forEach((button) => {
  const form = button.closest('form')
  const told = form.querySelector('.latchkey-passkey-error')
  button.addEventListener('click', async () => {
    told.hidden = true
    const options = JSON.parse(document.getElementById('passkey-options').textContent)
    try {
      const answer = await window.webauthnJSON[button.dataset.passkey](options)
      form.querySelector('[name=credential]').value = JSON.stringify(answer)
      form.requestSubmit()
    } catch (error) {
      told.textContent = `The browser did not use a passkey (${error.name}). Try again, or use another factor.`
      told.hidden = false
    }
  })
})
