// At the natural end of a process Node 20 may wait for ever, with a busy processor, for a request of
// a handle that it closes (Environment::CleanupHandles). When nothing is left to be done, and all has
// been told, a test process ends without that. What is still open keeps it from its end as before.
process.on('exit', (code) => process.exit(code));
