public import TCPStack
public import TCPWire

/// Who waits at one UDP socket.
struct DatagramRecord {
    var readers = ListenerRecord()
    var writers = ListenerRecord()

    subscript(kind: WaitKind) -> ListenerRecord {
        get { kind == .read ? readers : writers }
        set { if kind == .read { readers = newValue } else { writers = newValue } }
    }

    mutating func wakeAll() {
        readers.wakeAll()
        writers.wakeAll()
    }
}

extension Host {
    /// Opens a UDP socket.
    ///
    /// - Parameters:
    ///   - port: zero takes an ephemeral one.
    ///   - address: one of the host's own, or `nil` for all of them, of both families.
    ///   - options: what the socket starts with.
    /// - Throws: `OpenError`.
    public func openUDP(
        on port: UInt16 = 0, address: IPAddress? = nil, options: UDPOptions = UDPOptions()
    ) throws(OpenError) -> UDPSocket {
        let id = try stack.openUDP(on: port, address: address, options: options, at: MonotonicClock.now())
        sockets[id] = DatagramRecord()
        let local = stack.endpoints(of: id)?.local ?? Endpoint(IPAddress(ipv4: 0), port)
        return UDPSocket(host: self, id: id, local: local)
    }

    func connectUDP(_ id: UDPSocketID, to peer: Endpoint) throws(OpenError) {
        try stack.connectUDP(id, to: peer, at: MonotonicClock.now())
    }

    func closeUDP(_ id: UDPSocketID) {
        guard var record = sockets.removeValue(forKey: id) else { return }
        if isRunning { stack.closeUDP(id, at: MonotonicClock.now()) }
        record.wakeAll()
    }

    func receiveDatagram(_ id: UDPSocketID, upTo limit: Int) async throws -> ([UInt8], ReceivedDatagram) {
        while isRunning, sockets[id] != nil {
            sockets[id]?.readers.hasMissed = false
            var octets = [UInt8](repeating: 0, count: min(max(limit, 0), 65_535))
            var span = octets.mutableSpan
            var bytes = span.mutableBytes
            if let received = try stack.receive(id, into: &bytes, at: MonotonicClock.now()) {
                octets.removeLast(max(0, octets.count - received.length))
                return (octets, received)
            }
            try await wait(for: .read, at: id)
        }
        throw DatagramError.notOpen
    }

    func sendDatagram(
        _ id: UDPSocketID, _ bytes: [UInt8], to destination: Endpoint?, from source: IPAddress?
    ) async throws {
        while isRunning, sockets[id] != nil {
            sockets[id]?.writers.hasMissed = false
            if try stack.send(id, bytes.span.bytes, to: destination, from: source, at: MonotonicClock.now()) {
                transmitNow()
                return
            }
            try await wait(for: .write, at: id)
        }
        throw DatagramError.notOpen
    }

    func wake(_ id: UDPSocketID, _ readiness: Readiness) {
        if readiness.contains(.readable) { sockets[id]?.readers.wakeAll() }
        if readiness.contains(.writable) { sockets[id]?.writers.wakeAll() }
    }

    /// Waits until a socket may have a datagram or room; may return early, so callers look again.
    private func wait(for kind: WaitKind, at id: UDPSocketID) async throws(CancellationError) {
        let ticket = loop.nextTicket()
        let isReady = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                if Task.isCancelled {
                    continuation.resume(returning: false)
                } else if sockets[id]?[kind].hasMissed ?? true {
                    continuation.resume(returning: true)
                } else {
                    sockets[id]?[kind].waiters.append(Waiter(ticket: ticket, continuation: continuation))
                }
            }
        } onCancel: {
            loop.onLoop { _ in self.here { $0.cancel(kind, at: id, ticket: ticket) } }
        }
        if !isReady { throw CancellationError() }
    }

    private func cancel(_ kind: WaitKind, at id: UDPSocketID, ticket: UInt64) {
        guard let index = sockets[id]?[kind].waiters.firstIndex(where: { $0.ticket == ticket }) else { return }
        sockets[id]?[kind].waiters.remove(at: index).continuation.resume(returning: false)
    }
}
