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
    /// - Throws: `OpenError` when nothing was sent; `ConnectionError` when the peer refused, did not answer or cannot be
    ///   reached; `CancellationError` when the task was cancelled, and then the connection is aborted.
    public func connect(
        to remote: Endpoint, from address: IPAddress? = nil, port: UInt16 = 0,
        options: ConnectionOptions = ConnectionOptions()
    ) async throws -> TCPConnection {
        guard isRunning else { throw ConnectionError.aborted }
        let id = try stack.connect(
            to: remote, from: address, port: port, options: options, at: MonotonicClock.now())
        adopt(id)
        while true {
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
        switch try stack.read(id, into: &buffer, at: MonotonicClock.now()) {
        case .bytes(let count): return count
        case .endOfStream: return 0
        case .wouldBlock: return nil
        }
    }

    func read(_ id: ConnectionID, into buffer: inout MutableRawSpan) async throws -> Int {
        while true {
            if let count = try readNow(id, into: &buffer) { return count }
            try await waitToRead(id)
        }
    }

    /// Waits for something to read. A connection that has ended and still has nothing to give would spin: it is over.
    func waitToRead(_ id: ConnectionID) async throws {
        if isKnown(id), flows[Int(id.slot)].hasEnded {
            throw stack.status(of: id)?.error ?? ConnectionError.notOpen
        }
        try await wait(for: .read, at: id)
    }

    func readArray(_ id: ConnectionID, upTo limit: Int) async throws -> [UInt8]? {
        precondition(limit > 0, "a read must have room for an octet")
        while true {
            guard isRunning else { throw ConnectionError.aborted }
            // No buffer is made before there is something for it.
            let unread = stack.status(of: id)?.unread ?? 0
            let bytes = try readExactly(id, room: min(limit, max(unread, 1)))
            if let bytes { return bytes.isEmpty ? nil : bytes }
            try await waitToRead(id)
        }
    }

    /// As many octets as are there, up to `room`; empty at the end of the stream, `nil` when nothing is there.
    private func readExactly(_ id: ConnectionID, room: Int) throws(ConnectionError) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: room)
        var span = bytes.mutableSpan
        var raw = span.mutableBytes
        guard let count = try readNow(id, into: &raw) else { return nil }
        bytes.removeLast(room - count)
        return bytes
    }

    /// Writes as much as there is room for.
    func writeNow(_ id: ConnectionID, _ bytes: RawSpan) throws(ConnectionError) -> Int {
        guard isRunning else { throw .aborted }
        return try stack.write(id, bytes, at: MonotonicClock.now())
    }

    func write(_ id: ConnectionID, _ bytes: RawSpan) async throws {
        var offset = 0
        while offset < bytes.byteCount {
            let taken = try writeNow(id, bytes.extracting(offset..<bytes.byteCount))
            offset += taken
            if offset == bytes.byteCount { return }
            if taken == 0 {
                if isKnown(id), flows[Int(id.slot)].hasEnded {
                    throw stack.status(of: id)?.error ?? ConnectionError.notOpen
                }
                try await wait(for: .write, at: id)
            }
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

    func setOptions(_ id: ConnectionID, _ options: ConnectionOptions) {
        stack.setOptions(id, options, at: MonotonicClock.now())
    }
}
