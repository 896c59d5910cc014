internal import TCPEngine
public import TCPStack
public import TCPWire

extension Host {
    /// Opens a port for peers to connect to.
    ///
    /// - Parameters:
    ///   - port: 1...65535.
    ///   - address: one of the host's own, or `nil` for all of them, of both families.
    ///   - backlog: how many connections may wait to be accepted.
    ///   - options: what every accepted connection starts with.
    /// - Throws: `OpenError`.
    public func listen(
        on port: UInt16, address: IPAddress? = nil, backlog: Int = 128, options: ConnectionOptions = ConnectionOptions()
    ) throws(OpenError) -> TCPListener {
        let id = try stack.listen(
            on: port, address: address, backlog: backlog, options: options, at: MonotonicClock.now())
        listeners[id] = ListenerRecord()
        return TCPListener(host: self, id: id, port: port)
    }

    /// Opens a connection and waits until it is established.
    ///
    /// - Parameters:
    ///   - remote: the peer's address and port.
    ///   - address: one of the host's own to connect from; `nil` lets the stack choose.
    ///   - port: the port to connect from; zero lets the stack choose.
    ///   - options: what the connection starts with.
    ///   - octets: what is to be sent first. With `ConnectionOptions.fastOpen` it goes with the SYN, as far as that can hold it, if
    ///     a cookie of the server's is known: see there for what that means.
    /// - Throws: `OpenError` when nothing was sent; `ConnectionError` when the peer refused, did not answer or cannot be
    ///   reached; `CancellationError` when the task was cancelled, and then the connection is aborted.
    public func connect(
        to remote: Endpoint, from address: IPAddress? = nil, port: UInt16 = 0,
        options: ConnectionOptions = ConnectionOptions(), sending octets: [UInt8] = []
    ) async throws -> TCPConnection {
        guard isRunning else { throw ConnectionError.aborted }
        let id = try stack.connect(
            to: remote, from: address, port: port, options: options, at: MonotonicClock.now())
        adopt(id)
        // Before the loop can take the SYN.
        let sent = octets.isEmpty ? 0 : try stack.write(id, octets.span.bytes, at: MonotonicClock.now())
        let connection = try await waitUntilOpen(id)
        if sent < octets.count { try await write(id, octets.span.bytes.extracting(sent..<octets.count)) }
        return connection
    }

    private func waitUntilOpen(_ id: ConnectionID) async throws -> TCPConnection {
        while true {
            willLook(.open, at: id)
            guard let status = stack.status(of: id) else {
                forget(id)
                throw ConnectionError.aborted
            }
            switch status.state {
            case .synSent, .synReceived:
                if flows[Int(id.slot)].hasEnded {
                    release(id)
                    throw status.error ?? ConnectionError.aborted
                }
                do {
                    try await wait(for: .open, at: id)
                } catch {
                    abort(id)
                    throw error
                }
            case .closed, .listen:
                release(id)
                throw status.error ?? ConnectionError.aborted
            default:
                return TCPConnection(host: self, id: id, local: status.local, remote: status.remote)
            }
        }
    }

    /// The next connection of a listener, or `nil` when the listener is closed.
    func accept(_ id: ListenerID) async throws -> TCPConnection? {
        while isRunning, listeners[id] != nil {
            listeners[id]?.hasMissed = false
            if let connection = stack.accept(id) {
                guard let status = stack.status(of: connection) else { continue }
                adopt(connection)
                return TCPConnection(host: self, id: connection, local: status.local, remote: status.remote)
            }
            try await wait(at: id)
        }
        return nil
    }

    func stopListening(_ id: ListenerID) {
        guard var record = listeners.removeValue(forKey: id) else { return }
        if isRunning {
            stack.stopListening(id, at: MonotonicClock.now())
            loop.wake()
        }
        record.wakeAll()
    }

    // MARK: One connection

    /// Reads what is there: `nil` when that is nothing, zero at the end of the stream.
    func readNow(_ id: ConnectionID, into buffer: inout MutableRawSpan) throws(ConnectionError) -> Int? {
        guard isRunning else { throw .aborted }
        willLook(.read, at: id)
        switch try stack.read(id, into: &buffer, at: MonotonicClock.now()) {
        case .bytes(let count): return count
        case .endOfStream: return 0
        case .wouldBlock: return nil
        }
    }

    /// Reads what is there, when something is.
    func read(_ id: ConnectionID, into buffer: inout MutableRawSpan) async throws -> Int {
        while true {
            if let count = try readNow(id, into: &buffer) { return count }
            try checkNotEnded(id)
            try await wait(for: .read, at: id)
        }
    }

    /// Reads what is there, when something is; empty at the end of the stream.
    func readArray(_ id: ConnectionID, upTo limit: Int) async throws -> [UInt8] {
        while true {
            if let bytes = try readArrayNow(id, upTo: limit) { return bytes }
            try checkNotEnded(id)
            try await wait(for: .read, at: id)
        }
    }

    /// A connection that has ended and has no error to give would be waited for in vain.
    func checkNotEnded(_ id: ConnectionID) throws {
        if isKnown(id), flows[Int(id.slot)].hasEnded { throw stack.status(of: id)?.error ?? ConnectionError.notOpen }
    }

    /// As many octets as are there, up to `limit`; empty at the end of the stream, `nil` when nothing is there. No buffer
    /// is made before there is something for it.
    func readArrayNow(_ id: ConnectionID, upTo limit: Int) throws(ConnectionError) -> [UInt8]? {
        guard isRunning else { throw .aborted }
        let room = min(limit, max(stack.status(of: id)?.unread ?? 0, 1))
        var failure: ConnectionError?
        var isThere = true
        let bytes = [UInt8](unsafeUninitializedCapacity: room) { memory, count in
            var span = UnsafeMutableRawBufferPointer(memory).mutableBytes
            do throws(ConnectionError) {
                if let read = try readNow(id, into: &span) { count = read } else { isThere = false }
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return isThere ? bytes : nil
    }

    /// Writes as much as there is room for. A short write is somebody's turn in a dialogue: it leaves at once. Bulk waits
    /// for the loop, which makes larger segments of it.
    func writeNow(_ id: ConnectionID, _ bytes: RawSpan) throws(ConnectionError) -> Int {
        guard isRunning else { throw .aborted }
        willLook(.write, at: id)
        let taken = try stack.write(id, bytes, at: MonotonicClock.now())
        if taken > 0, bytes.byteCount <= 16_384 { transmitNow() }
        return taken
    }

    func write(_ id: ConnectionID, _ bytes: RawSpan) async throws {
        var offset = 0
        while offset < bytes.byteCount {
            let taken = try writeNow(id, bytes.extracting(offset..<bytes.byteCount))
            offset += taken
            if taken == 0 {
                try checkNotEnded(id)
                try await wait(for: .write, at: id)
            }
        }
    }

    /// Runs `body` at once. The caller must be on the loop's thread, where nothing else of this host runs then.
    ///
    /// `assumeIsolated` asks for more: that the running task be formally on the host's executor, which a task that merely
    /// prefers the loop is not, though both are one thread.
    nonisolated func here<Value>(_ body: (isolated Host) throws -> Value) rethrows -> Value {
        loop.checkIsolated()
        return try withoutActuallyEscaping(body) { body in
            try unsafeBitCast(body, to: ((Host) throws -> Value).self)(self)
        }
    }

    func closeWrite(_ id: ConnectionID) throws(ConnectionError) {
        guard isRunning else { throw .aborted }
        try stack.close(id, at: MonotonicClock.now())
    }

    func release(_ id: ConnectionID) {
        guard isKnown(id) else { return }
        if isRunning { stack.release(id, at: MonotonicClock.now()) }
        forget(id)
    }

    func abort(_ id: ConnectionID) {
        guard isKnown(id) else { return }
        if isRunning { stack.abort(id, at: MonotonicClock.now()) }
        forget(id)
    }

    func waitUntilEnded(_ id: ConnectionID) async throws {
        while isRunning, isKnown(id), !flows[Int(id.slot)].hasEnded { try await wait(for: .end, at: id) }
        guard isRunning else { throw ConnectionError.aborted }
        if let error = stack.status(of: id)?.error { throw error }
    }

    func status(of id: ConnectionID) -> ConnectionStatus? { stack.status(of: id) }

    func info(of id: ConnectionID) -> ConnectionInfo? { stack.info(of: id) }

    func setOptions(_ id: ConnectionID, _ options: ConnectionOptions) {
        stack.setOptions(id, options, at: MonotonicClock.now())
    }
}
