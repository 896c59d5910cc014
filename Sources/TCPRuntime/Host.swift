public import TCPStack
public import TCPWire

/// A TCP/IP host that runs: a stack, the device it is joined to, and the loop that drives both.
///
/// A host is an actor whose executor is its loop. Tasks that run on the loop (`Task(executorPreference: loop)`) call it
/// without a change of thread; tasks elsewhere may call it as well and pay for the crossing.
///
/// The loop keeps a host alive until `shutdown()`.
public actor Host {
    /// The loop this host belongs to.
    public nonisolated let loop: EventLoop
    /// See `Actor`.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    var stack: Stack
    /// What joins the stack to a device with Ethernet.
    var ethernet: EthernetLink?
    let device: any PacketDevice
    let descriptor: CInt?
    /// The packet that comes in, and the one that goes out.
    private let incoming = PacketBuffer()
    let outgoing = PacketBuffer(size: PayloadFragments.largestPacket + EthernetHeader.length)
    /// Where the payload of the packet that goes out lies, if not in `outgoing`.
    var fragments = PayloadFragments()
    /// A packet the device would not take yet; it lies in `outgoing`.
    private var held: TransmittedPacket?
    private var deviceMayHavePackets = true
    private var burst = 1
    /// By slot of the connection.
    var flows: [FlowRecord] = []
    var listeners: [ListenerID: ListenerRecord] = [:]
    var addressWaiters: [Waiter] = []
    var seenAddressChanges: UInt64 = 0
    var sockets: [UDPSocketID: DatagramRecord] = [:]
    private var closeWaiters: [UnsafeContinuation<Void, Never>] = []
    /// Whether the host still runs.
    public private(set) var isRunning = true
    /// Why the device was lost, if it was.
    public private(set) var failure: DeviceError?

    /// Joins a new stack to `device` and starts it on `loop`.
    ///
    /// - Parameters:
    ///   - device: the link; the host closes it in the end. Its MTU and offload override the configuration's.
    ///   - addresses: the stack's own addresses with their prefixes. Behind Ethernet each is used once it is found to be
    ///     nobody else's: see `addressesSettled()`.
    ///   - configuration: everything else about the stack.
    ///   - ethernet: the same for the link, where the device's is Ethernet.
    ///   - loop: what drives it.
    ///   - secret: where unpredictable numbers come from; by default the system's random source.
    public init(
        device: sending any PacketDevice, addresses: [AddressPrefix], configuration: Configuration = Configuration(),
        ethernet: EthernetConfiguration = EthernetConfiguration(), loop: EventLoop, secret: StackSecret = .random()
    ) {
        var configuration = configuration
        configuration.mtu = device.mtu
        configuration.superSegments = device.offload.superSegments
        configuration.checksumOffload = device.offload.checksums
        // What lies in the processor's cache is moved fastest, and a writer is woken within microseconds: a few of the
        // largest packets.
        configuration.unsentBuffer = min(
            configuration.unsentBuffer, device.gathers && device.largestGathered > 65_535 ? 512 << 10 : 256 << 10)
        self.loop = loop
        self.device = device
        descriptor = device.descriptor
        let now = MonotonicClock.now()
        stack = Stack(configuration: configuration, secret: secret, at: now)
        if case .ethernet(let station) = device.linkLayer {
            var link = EthernetLink(address: station, configuration: ethernet, secret: secret, at: now)
            for address in addresses { link.addAddress(address, to: &stack, at: now) }
            // Begins what the link does of itself, so that its addresses are there to be waited for.
            link.advance(to: now, &stack)
            self.ethernet = consume link
        } else {
            for address in addresses { stack.addAddress(address) }
        }
        if descriptor == nil { device.attach { [weak loop] in loop?.wake() } }
        loop.onLoop { $0.add(self, descriptor: self.descriptor) }
    }

    // MARK: The stack

    /// What the stack holds, in bytes by kind.
    public var memory: MemoryReport { stack.memory }

    /// What the stack has counted since it was made.
    public var counters: Counters { stack.counters }

    /// Every connection, half-open entry and TIME-WAIT entry, in no order.
    public func allFlows() -> [FlowStatus] { stack.flows() }

    /// The next change of a connection's state, if the configuration asked for them to be recorded.
    public func nextStateChange() -> StateChange? { stack.nextStateChange() }

    // MARK: The end

    /// Resets every connection, closes every listener, sends what that takes as far as the device has room at once, and
    /// closes the device. Whoever waits for the host is woken.
    public func shutdown() {
        guard isRunning else { return }
        let now = MonotonicClock.now()
        for id in listeners.keys {
            while let waiting = stack.accept(id) { stack.abort(waiting, at: now) }
            stack.stopListening(id, at: now)
        }
        for slot in flows.indices {
            if let id = flows[slot].id { stack.abort(id, at: now) }
        }
        for _ in 0..<65_536 where transmitTurnOnLoop() == false { break }
        end()
    }

    /// Waits until the host has ended.
    ///
    /// - Throws: `DeviceError` if its device was lost.
    public func waitUntilEnded() async throws {
        if isRunning { await withUnsafeContinuation { closeWaiters.append($0) } }
        if let failure { throw failure }
    }

    private func fail(_ error: DeviceError) {
        failure = error
        end()
    }

    private func end() {
        guard isRunning else { return }
        isRunning = false
        held = nil
        ethernet?.remove(from: &stack)
        loop.remove(self, descriptor: descriptor)
        device.close()
        for slot in flows.indices { flows[slot].endAll() }
        for id in Array(listeners.keys) {
            var record = listeners.removeValue(forKey: id)
            record?.wakeAll()
        }
        wakeAddressWaiters()
        for id in Array(sockets.keys) {
            var record = sockets.removeValue(forKey: id)
            record?.wakeAll()
        }
        for waiter in closeWaiters { waiter.resume() }
        closeWaiters = []
    }

    // MARK: The turn of the loop

    fileprivate func receiveTurnOnLoop() -> Bool {
        guard isRunning else { return false }
        var received = false
        do {
            received = try readDevice()
        } catch {
            fail(error)
            return true
        }
        if let deadline = deadlineOfStack {
            let now = MonotonicClock.now()
            if deadline <= now { advance(to: now) }
        }
        deliverEvents()
        deliverAddressChanges()
        return received
    }

    /// Reads a burst. The first of a quiet time is one packet, so that its answer leaves before the next is asked for;
    /// bursts double while there is more. Says whether anything came.
    private func readDevice() throws(DeviceError) -> Bool {
        guard deviceMayHavePackets else { return false }
        let memory = incoming.octets
        var budget = 128 << 10
        var count = 0
        while count < burst, budget > 0 {
            var span = memory.mutableBytes
            guard let packet = try device.read(into: &span) else {
                deviceMayHavePackets = false
                burst = 1
                return count > 0
            }
            take(span.bytes.extracting(0..<packet.length), packet.metadata, at: MonotonicClock.now())
            budget -= packet.length
            count += 1
        }
        burst = min(burst * 2, 64)
        return true
    }

    private func deliverEvents() {
        while let event = stack.nextEvent() {
            switch event {
            case .acceptable(let id): listeners[id]?.wakeAll()
            case .datagrams(let id, let readiness): wake(id, readiness)
            case .connection(let id, let readiness): wake(id, readiness)
            case .memoryLevel: break
            }
        }
    }

    @discardableResult
    fileprivate func transmitTurnOnLoop() -> Bool {
        guard isRunning else { return false }
        do {
            return try writeDevice()
        } catch {
            fail(error)
            return false
        }
    }

    /// Hands the packet to the device; one that it would not take lies whole in `outgoing` afterwards.
    private func write(_ packet: TransmittedPacket) throws(DeviceError) -> Bool {
        let memory = outgoing.octets
        if fragments.count == 0 { return try device.write(memory.bytes.extracting(0..<packet.length), packet) }
        let headers = memory.bytes.extracting(0..<packet.headerLength)
        if try device.write(headers: headers, payload: fragments, packet) { return true }
        var offset = packet.headerLength
        for index in 0..<fragments.count {
            let fragment = fragments[index]
            UnsafeMutableRawBufferPointer(rebasing: memory[offset...]).copyMemory(from: fragment)
            offset += fragment.count
        }
        return false
    }

    private func writeDevice() throws(DeviceError) -> Bool {
        let now = MonotonicClock.now()
        let memory = outgoing.octets
        if let packet = held {
            guard try device.write(memory.bytes.extracting(0..<packet.length), packet) else { return hasToReceive }
            held = nil
            if let descriptor { loop.watchRoom(descriptor, false) }
        }
        for _ in 0..<64 {
            guard wantsToTransmit, let packet = nextPacket(at: now) else {
                return hasToReceive
            }
            guard try write(packet) else {
                held = packet
                if let descriptor { loop.watchRoom(descriptor, true) }
                return hasToReceive
            }
        }
        return true
    }

    /// Whether another turn has something to take. A device without room must not put that off: two hosts that each wait
    /// for room at the other would wait for ever.
    private var hasToReceive: Bool { deviceMayHavePackets || stack.hasEvents }

    /// Sends what a call has just made ready: its octets are still in the nearest cache, and the peer waits.
    func transmitNow() {
        if isRunning, held == nil, wantsToTransmit { transmitTurnOnLoop() }
    }

    fileprivate func descriptorReadyOnLoop(readable: Bool) {
        if readable { deviceMayHavePackets = true }
    }

    fileprivate func deadlineOnLoop() -> Instant? { isRunning ? deadlineOfStack : nil }
}

extension Host: LoopClient {
    nonisolated func descriptorReady(readable: Bool, writable: Bool) {
        here { $0.descriptorReadyOnLoop(readable: readable) }
    }

    nonisolated func receiveTurn() -> Bool { here { $0.receiveTurnOnLoop() } }

    nonisolated func transmitTurn() -> Bool { here { $0.transmitTurnOnLoop() } }

    nonisolated func nextDeadline() -> Instant? { here { $0.deadlineOnLoop() } }

    nonisolated func poked() {
        here { host in
            if host.descriptor == nil { host.descriptorReadyOnLoop(readable: true) }
        }
    }
}

extension StackSecret {
    /// A secret from the system's random source.
    public static func random() -> StackSecret {
        StackSecret(.random(in: .min ... .max), .random(in: .min ... .max))
    }
}
