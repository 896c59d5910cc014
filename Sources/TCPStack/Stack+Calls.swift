public import TCPEngine
public import TCPWire

// The user calls of RFC 9293 §3.9.1: OPEN, SEND, RECEIVE, CLOSE, ABORT, STATUS.
extension Stack {
    // MARK: Passive OPEN

    /// Waits for connections to `port`, on one local address or on all. `backlog` is the most that may wait for `accept`;
    /// `options` are what each gets. Never disturbs a connection (RFC 9293 MUST-41, MUST-42).
    ///
    /// - Throws: `invalidAddress` for port 0; `noLocalAddress` if the address is not this host's; `addressInUse`.
    public mutating func listen(
        on port: UInt16, address: IPAddress? = nil, backlog: Int = 1024,
        options: ConnectionOptions = ConnectionOptions(),
        at now: Instant
    ) throws(OpenError) -> ListenerID {
        try listen(on: port, address: address, families: .all, backlog: backlog, options: options, at: now)
    }

    /// The same for the connections of some families only.
    package mutating func listen(
        on port: UInt16, address: IPAddress?, families: AddressFamilies, backlog: Int, options: ConnectionOptions,
        at now: Instant
    ) throws(OpenError) -> ListenerID {
        context.now = max(context.now, now)
        guard port != 0 else { throw .invalidAddress }
        if let address, localIndex(address) == nil { throw .noLocalAddress }
        for listener in listeners
        where listener.isOpen && listener.port == port && listener.address == address
            && !listener.families.isDisjoint(with: families)
        {
            throw .addressInUse
        }
        let generation = nextGeneration
        nextGeneration &+= 1
        let listener = Listener(
            port: port, address: address, backlog: backlog, options: options, families: families,
            synWindow: options.receiveBuffer.map { min(65535, max($0, 1)) } ?? synWindow,
            windowScale: offeredScale(options), generation: generation)
        var slot = listeners.count
        // A slot is used again once no half-open entry names it.
        if let free = listeners.firstIndex(where: { !$0.isOpen && $0.halfOpen == 0 }) {
            slot = free
            listeners[free] = listener
        } else {
            guard slot < SmallEntry.listenerLimit, context.budget.reserve(Listener.cost) else { throw .noMemory }
            listeners.append(listener)
        }
        if configuration.recordsStateChanges {
            let any = IPAddress(ipv4: 0)
            let local = Endpoint(address ?? addresses.first?.prefix.address ?? any, port)
            changes.append(
                StateChange(time: context.now, local: local, remote: Endpoint(any, 0), from: .closed, to: .listen))
        }
        return ListenerID(slot: UInt32(slot), generation: generation)
    }

    /// Ends a listener. Half-open connections of it are forgotten, those that waited for `accept` are reset.
    public mutating func stopListening(_ id: ListenerID, at now: Instant) {
        context.now = max(context.now, now)
        guard let index = listenerIndex(id) else { return }
        while let slot = listeners[index].queue.removeFirst(&context.budget) {
            tables.connections[slot].marks.insert(.accepted)
            abort(ConnectionID(slot: slot, generation: tables.connections[slot].generation), at: now)
        }
        forgetPending(of: index)
        var slot = listeners[index].halfOpen > 0 ? tables.entries.next(from: 0) : nil
        while let entry = slot, listeners[index].halfOpen > 0 {
            if !tables.entries[entry].info.contains(.timeWait), Int(tables.entries[entry].listener) == index {
                dropEntry(entry, tables.entries[entry].key.hash(secret))
            }
            slot = tables.entries.next(from: entry &+ 1)
        }
        listeners[index].isOpen = false
        while let last = listeners.last, !last.isOpen {
            listeners.removeLast()
            context.budget.release(Listener.cost)
        }
    }

    /// The connection that has waited longest; `nil` when none waits. It is ESTABLISHED, or has gone further since; one that
    /// came by Fast Open may be in SYN-RECEIVED, and can be read and written like any other.
    public mutating func accept(_ id: ListenerID) -> ConnectionID? {
        guard let index = listenerIndex(id), let slot = listeners[index].queue.removeFirst(&context.budget) else {
            return nil
        }
        listeners[index].isReported = listeners[index].waiting > 0
        if listeners[index].isReported { announce(index) }
        tables.connections[slot].marks.insert(.accepted)
        if !tables.connections[slot].connection.changes.isEmpty { makeReady(slot) }
        return ConnectionID(slot: slot, generation: tables.connections[slot].generation)
    }

    // MARK: Active OPEN

    /// Opens a connection. The first SYN is sent when the link next asks; `.opened` or `.ended` tells how it went. Without
    /// a link the routes choose one, without an address the stack does (RFC 6724), without a port it takes an ephemeral
    /// one (RFC 6056). With `ConnectionOptions.fastOpen`, octets that are written before the SYN has left go with it if a
    /// cookie of the server's is known.
    ///
    /// - Throws: `invalidAddress`, `noRoute`, `noLocalAddress`, `addressInUse`, `noPortLeft`, `noMemory`.
    public mutating func connect(
        to remote: Endpoint, from address: IPAddress? = nil, port: UInt16 = 0, on interface: InterfaceID? = nil,
        options: ConnectionOptions = ConnectionOptions(), at now: Instant
    ) throws(OpenError) -> ConnectionID {
        context.now = max(context.now, now)
        // RFC 9293 MUST-46.
        guard remote.port != 0, remote.address.isValidSource, !isBroadcastOrMulticast(remote.address) else {
            throw .invalidAddress
        }
        let local = try sourceAddress(for: remote.address, address, on: interface)
        var key = FlowKey(remote: remote.address, remotePort: remote.port, local: local, localPort: port)
        if port == 0 {
            guard choosePort(&key) else { throw .noPortLeft }
        } else if flowTable.find(key, hash: key.hash(secret), tables) != nil {
            throw .addressInUse
        }
        var connection = makeConnection(
            key, state: .closed, initial: initialSequence(key), options, windowScale: offeredScale(options))
        connection.move(to: .synSent, &context)
        if options.fastOpen ?? configuration.fastOpen { connection.tryFastOpen() }
        makeRoom(for: Slab<ConnectionRecord>.chunkBytes &+ 2 &* flowTable.bytes)
        guard let slot = insertRecord(key, connection) else {
            context.moves.removeAll()
            throw .noMemory
        }
        guard flowTable.insert(.connection(slot), hash: key.hash(secret), tables, secret, &context.budget) else {
            tables.connections.remove(slot, &context.budget)
            context.moves.removeAll()
            throw .noMemory
        }
        tables.connections[slot].marks.formUnion([.inTable, .accepted])
        settle(slot)
        return ConnectionID(slot: slot, generation: tables.connections[slot].generation)
    }

    /// RFC 9293 MUST-44.
    func sourceAddress(
        for remote: IPAddress, _ asked: IPAddress?, on interface: InterfaceID?
    ) throws(OpenError) -> UInt16 {
        if let asked {
            let index = interface.map { localIndex(asked, on: $0) } ?? localIndex(asked)
            guard let index, asked.isIPv4 == remote.isIPv4 else { throw .noLocalAddress }
            return index
        }
        guard let hop = hop(to: remote, on: interface) else { throw .noRoute }
        guard let index = selectSource(for: remote, on: hop.interface) else { throw .noLocalAddress }
        return index
    }

    /// RFC 6056 §3.3.4, double-hash port selection over 49152...65535.
    private mutating func choosePort(_ key: inout FlowKey) -> Bool {
        let first: UInt32 = 49152
        let count: UInt32 = 16384
        key.localPort = 0
        let offset = UInt32(truncatingIfNeeded: key.digest(secret, salt: 3))
        let index = Int(key.digest(secret, salt: 4) & 15)
        for _ in 0..<count {
            let port = UInt16(first &+ (offset &+ portCounters[index]) % count)
            portCounters[index] &+= 1
            key.localPort = port
            if flowTable.find(key, hash: key.hash(secret), tables) == nil { return true }
        }
        return false
    }

    // MARK: SEND and RECEIVE

    /// Moves octets that came in order into `buffer`.
    ///
    /// - Throws: how the connection ended, once nothing is left to read; `notOpen` for a stale handle.
    public mutating func read(
        _ id: ConnectionID, into buffer: inout MutableRawSpan, at now: Instant
    ) throws(ConnectionError) -> ReadResult {
        context.now = max(context.now, now)
        guard let slot = slot(id) else { throw .notOpen }
        let count = try tables.connections[slot].connection.read(into: &buffer, &context)
        settle(slot)
        guard let count else { return .endOfStream }
        return count == 0 ? .wouldBlock : .bytes(count)
    }

    /// Queues as many octets of `bytes` as there is room for, and says how many. After fewer than all, `.writable` tells when
    /// to try again.
    ///
    /// - Throws: how the connection ended; `closing` after `close`; `notOpen` for a stale handle.
    public mutating func write(
        _ id: ConnectionID, _ bytes: RawSpan, at now: Instant
    ) throws(ConnectionError) -> Int {
        try write(id, bytes, more: false, at: now)
    }

    /// The same; with `more`, what does not fill a segment waits for what the program will write next.
    package mutating func write(
        _ id: ConnectionID, _ bytes: RawSpan, more: Bool, at now: Instant
    ) throws(ConnectionError) -> Int {
        context.now = max(context.now, now)
        guard let slot = slot(id) else { throw .notOpen }
        let count = try tables.connections[slot].connection.write(bytes, more: more, &context)
        if tables.connections[slot].connection.wantsMemory { waitForMemory(slot) }
        settle(slot)
        return count
    }

    // MARK: CLOSE, ABORT, STATUS

    /// Closes this direction: what is queued still goes out, then a FIN. Reading goes on (RFC 9293 §3.6, half-close).
    ///
    /// - Throws: `closing` when it was closed before; how the connection ended; `notOpen` for a stale handle.
    public mutating func close(_ id: ConnectionID, at now: Instant) throws(ConnectionError) {
        context.now = max(context.now, now)
        guard let slot = slot(id) else { throw .notOpen }
        try tables.connections[slot].connection.close(&context)
        settle(slot)
    }

    /// The program lets go of the handle, which is stale afterwards. The connection is closed if it was not, and ends by
    /// itself; octets still unread, or that come later, make it end by a reset (RFC 9293 SHLD-3).
    public mutating func release(_ id: ConnectionID, at now: Instant) {
        context.now = max(context.now, now)
        guard let slot = slot(id) else { return }
        let resets = tables.connections[slot].connection.release(&context)
        finishRelease(slot, resets: resets)
    }

    /// Ends the connection at once: the peer gets a reset, what was queued is dropped, the handle is stale afterwards.
    public mutating func abort(_ id: ConnectionID, at now: Instant) {
        context.now = max(context.now, now)
        guard let slot = slot(id) else { return }
        let resets = tables.connections[slot].connection.abort(&context)
        finishRelease(slot, resets: resets)
    }

    private mutating func finishRelease(_ slot: UInt32, resets: Bool) {
        if resets {
            send(abortReset(slot))
        }
        // The handle is stale from here on.
        tables.connections[slot].generation = nextGeneration
        nextGeneration &+= 1
        _ = tables.connections[slot].connection.takeChanges()
        tables.connections[slot].marks.remove(.accepted)
        becomeOrphan(slot)
        settle(slot)
    }

    /// Changes what the connection's program may choose.
    public mutating func setOptions(_ id: ConnectionID, _ options: ConnectionOptions, at now: Instant) {
        context.now = max(context.now, now)
        guard let slot = slot(id) else { return }
        tables.connections[slot].connection.hopLimit =
            options.hopLimit ?? hopLimit(for: tables.connections[slot].key)
        tables.connections[slot].connection.apply(options, context)
        tables.connections[slot].connection.change(
            to: options.congestionControl ?? configuration.congestionControl, &context)
        settle(slot)
    }

    /// What is known of the connection; `nil` for a stale handle.
    public func status(of id: ConnectionID) -> ConnectionStatus? {
        guard let slot = slot(id) else { return nil }
        let key = tables.connections[slot].key
        var status = tables.connections[slot].connection.status(
            local: Endpoint(localAddress(key), key.localPort), remote: Endpoint(key.remote, key.remotePort), context)
        if status.state == .timeWait {
            // The entry that waits may have gone meanwhile.
            let found = flowTable.find(key, hash: key.hash(secret), tables)
            let waits = found.map { $0.isEntry && tables.entries[$0.slot].info.contains(.timeWait) } ?? false
            if !waits { status.state = .closed }
        }
        return status
    }
}

extension Connection {
    mutating func apply(_ options: ConnectionOptions, _ context: borrowing Context) {
        noDelay = options.noDelay
        limitPacing(to: options.maximumPacingRate.map { UInt32(clamping: max($0, 1)) } ?? 0, context)
        isCorked = options.corks
        fixReceiveBuffer(options.receiveBuffer)
        setKeepAlive(
            idle: options.keepAliveIdle.map { Connection.milliseconds($0.nanoseconds) },
            interval: Connection.milliseconds(options.keepAliveInterval.nanoseconds), probes: options.keepAliveProbes,
            context)
        userTimeout = options.userTimeout.map { Connection.milliseconds($0.nanoseconds) } ?? 0
        differentiatedServices = options.differentiatedServices
    }

    func status(local: Endpoint, remote: Endpoint, _ context: borrowing Context) -> ConnectionStatus {
        ConnectionStatus(
            state: state, local: local, remote: remote, error: error, unread: receiveQueue.count,
            unacknowledged: sendQueue.count, room: room(context),
            urgent: urgentCount, smoothedRTT: .nanoseconds(rtt.smoothed),
            retransmissionTimeout: .nanoseconds(rtt.timeout(context.parameters)),
            congestionWindow: Int(congestionWindow), slowStartThreshold: Int(slowStartThreshold),
            sendWindow: Int(send.window), maximumSegmentSize: segmentSize,
            retransmittedSegments: Int(retransmittedSegments), openedFast: openedFast)
    }
}
