internal import TCPEngine
internal import TCPStack
internal import TCPTrace
internal import TCPWire

// The programs at the two ends.
extension World {
    func mayAct(_ end: Int) -> Bool {
        let host = hosts[end]
        let steps = scene.programmes[end].steps
        guard host.position < steps.count else { return false }
        switch steps[host.position] {
        case .open: return host.connection == nil
        case .write, .close: return host.connection != nil
        }
    }

    func mayAbort(_ end: Int) -> Bool {
        scene.programmes[end].mayAbort && !hosts[end].hasAborted && hosts[end].connection != nil
    }

    /// The program does its next step.
    func act(_ end: Int) {
        let host = hosts[end]
        let step = scene.programmes[end].steps[host.position]
        host.position += 1
        if fault == .forgottenListener { _ = try? host.stack.listen(on: 7, at: now) }
        switch step {
        case .open: open(host)
        case .write(let count): write(count, host)
        case .close: close(host)
        }
        pump(host)
    }

    func abort(_ end: Int) {
        let host = hosts[end]
        guard let id = host.connection else { return }
        host.hasAborted = true
        host.lives[host.lives.count - 1].isAborted = true
        host.lives[host.lives.count - 1].hasEnded = true
        recorder?.acted(.abort, host, self)
        host.stack.abort(id, at: now)
        host.connection = nil
        pump(host)
    }

    func open(_ host: Host) {
        now = now.advanced(byNanoseconds: RTTEstimator.tick)
        recorder?.acted(.connect, host, self)
        guard
            let id = try? host.stack.connect(
                to: host.remote, from: host.local.address, port: host.local.port, at: now),
            let numbers = host.stack.initialSequences(of: id)
        else { return }
        host.connection = id
        host.lives.append(Life(initial: numbers.send))
    }

    func write(_ count: Int, _ host: Host) {
        guard let id = host.connection else { return }
        let life = host.lives.count - 1
        let start = host.lives[life].written
        let octets = (start..<start + count).map { host.octet(life, $0) }
        guard let taken = try? host.stack.write(id, octets.span.bytes, at: now) else { return }
        recorder?.acted(.write(taken), host, self)
        host.lives[life].written += taken
    }

    func close(_ host: Host) {
        guard let id = host.connection, fault != .neverCloses else { return }
        recorder?.acted(.close, host, self)
        host.lives[host.lives.count - 1].isClosed = true
        try? host.stack.close(id, at: now)
    }

    /// The program takes its events, accepts, reads, and lets go of what has ended.
    func serve(_ host: Host) {
        while let event = host.stack.nextEvent() {
            if case .acceptable(let listener) = event, host.connection == nil { accept(listener, host) }
        }
        guard let id = host.connection else { return }
        read(id, host)
        guard let status = host.stack.status(of: id) else { return }
        let life = host.lives.count - 1
        if status.state != .synSent { host.lives[life].peerInitial = host.stack.initialSequences(of: id)?.receive }
        guard status.state == .closed || status.state == .timeWait else { return }
        host.lives[life].hasEnded = true
        host.lives[life].error = status.error
        if let error = status.error { recorder?.acted(.failed(error), host, self) }
        guard fault != .keepsHandles else { return }
        host.stack.release(id, at: now)
        host.connection = nil
        // One that waited meanwhile is served now.
        if let listener = host.listener { accept(listener, host) }
    }

    private func accept(_ listener: ListenerID, _ host: Host) {
        guard let id = host.stack.accept(listener), let numbers = host.stack.initialSequences(of: id) else { return }
        host.connection = id
        host.position = 0
        host.lives.append(Life(initial: numbers.send, peerInitial: numbers.receive))
        recorder?.acted(.accept, host, self)
    }

    private func read(_ id: ConnectionID, _ host: Host) {
        var octets = [UInt8](repeating: 0, count: 64)
        while let count = readOnce(id, host, &octets) {
            recorder?.acted(.read(count), host, self)
            if fault != .ignoresReads { checkOctets(octets[..<count], host) }
        }
    }

    /// How many octets were read; `nil` when there are none now.
    private func readOnce(_ id: ConnectionID, _ host: Host, _ octets: inout [UInt8]) -> Int? {
        var span = octets.mutableSpan
        var bytes = span.mutableBytes
        switch try? host.stack.read(id, into: &bytes, at: now) {
        case .bytes(let count): return count
        case .endOfStream:
            if fault != .ignoresReads { checkEnd(host) }
            return nil
        case .wouldBlock, nil: return nil
        }
    }
}
