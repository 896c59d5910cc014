package import TCPStack
public import TCPWire

/// A kernel's socket calls over one stack, in virtual time. It has one owner and no thread: time passes when `advance(to:)` is
/// called, packets come by `inject` and are taken by `nextPacket`, and a call that would block stays pending until
/// something lets it return. It is not `Sendable`.
///
/// ```
/// let id = kernel.submit(.accept(3))       // pending
/// kernel.inject(syn); kernel.inject(ack)
/// kernel.result(of: id)                    // the new descriptor
/// ```
public final class VirtualKernel {
    /// What it was made with.
    public let settings: KernelSettings
    /// The stack below, for tools that look into it.
    package var stack: Stack
    /// The time.
    public private(set) var now: Instant

    /// Gives the number of each new descriptor, instead of the least that is free; `nil` is EMFILE. The numbers must be ones that are
    /// not in use.
    public var makeDescriptor: (() -> Int32?)?

    var descriptors: [Int32: Description] = [:]
    /// The sockets of the stack's connections and listeners.
    var connections: [ConnectionID: Socket] = [:]
    var listeners: [ListenerID: Socket] = [:]
    /// Traffic of each conversation, for `TCP_INFO`.
    var traffic: [FlowPair: Traffic] = [:]
    /// Calls that wait, oldest first.
    var pending: [PendingCall] = []
    private var results: [Int: CallResult] = [:]
    private var nextCall = 0
    private var outgoing: [OutgoingPacket] = []
    private var outgoingHead = 0
    private var buffer = [UInt8](repeating: 0, count: 65_600)

    /// Makes a kernel with the interface's addresses.
    public init(_ settings: KernelSettings = KernelSettings()) {
        self.settings = settings
        now = settings.start
        stack = Stack(
            configuration: settings.configuration,
            secret: StackSecret(settings.seed &* 0x9E37_79B9_7F4A_7C15, settings.seed ^ 0x1234_5678), at: settings.start
        )
        for prefix in settings.addresses { stack.addAddress(prefix) }
        if settings.fastOpenKey.count == 16 {
            let octets = settings.fastOpenKey.span.bytes
            stack.setFastOpenKeys(FastOpenKey(octets.be64(0), octets.be64(8)))
        }
    }

    /// The Fast Open cookie that this host, as the server, has for a client now.
    public func fastOpenCookie(client: IPAddress, server: IPAddress) -> [UInt8] {
        let cookie = stack.fastOpenCookie(client: client, server: server)
        return (0..<cookie.count).map { cookie[$0] }
    }

    /// Gives the interface another address.
    public func addAddress(_ prefix: AddressPrefix) { stack.addAddress(prefix) }

    // MARK: Time

    /// When something happens next by itself: a timer of a connection, or the end of a call's waiting. `nil` is never.
    public var nextDeadline: Instant? {
        var deadline = stack.nextDeadline ?? .distantFuture
        for call in pending { deadline = min(deadline, call.deadline) }
        return deadline == .distantFuture ? nil : deadline
    }

    /// Lets time pass up to `target`, timer by timer. What leaves on the way carries the time it left. Time does not go back.
    public func advance(to target: Instant) {
        while let deadline = nextDeadline, deadline <= target {
            now = max(now, deadline)
            stack.advance(to: now)
            settle()
        }
        now = max(now, target)
        stack.advance(to: now)
        settle()
    }

    // MARK: Packets

    /// An IP packet arrives now.
    public func inject(_ packet: RawSpan) {
        observeArrival(packet)
        stack.receive(packet, at: now)
        settle()
    }

    /// An IP packet arrives now.
    public func inject(_ packet: [UInt8]) { inject(packet.span.bytes) }

    /// The packet that left longest ago and was not taken yet.
    public func nextPacket() -> OutgoingPacket? {
        guard outgoingHead < outgoing.count else { return nil }
        let packet = outgoing[outgoingHead]
        outgoingHead += 1
        if outgoingHead == outgoing.count {
            outgoing.removeAll(keepingCapacity: true)
            outgoingHead = 0
        }
        return packet
    }

    /// Whether `nextPacket` has one to give.
    public var hasPackets: Bool { outgoingHead < outgoing.count }

    // MARK: Calls

    /// Carries a call out. One that would block stays pending.
    public func submit(_ call: SystemCall) -> CallID {
        let id = CallID(number: nextCall)
        nextCall += 1
        let waiting = PendingCall(id: id, call: call)
        if !attempt(waiting) { pending.append(waiting) }
        settle()
        return id
    }

    /// What a call came to, `nil` while it blocks. It stays to be asked for until `forget`.
    public func result(of id: CallID) -> CallResult? { results[id.number] }

    /// Gives back the memory of a result; a pending call is interrupted, as by a signal, and leaves no result.
    public func forget(_ id: CallID) {
        results[id.number] = nil
        pending.removeAll { $0.id == id }
    }

    /// A call that must not block: carried out, its result handed back, or `nil` when it would have blocked, and then it is
    /// given up.
    public func call(_ call: SystemCall) -> CallResult? {
        let id = submit(call)
        defer { forget(id) }
        return result(of: id)
    }

    /// Tries a call; says whether it returned.
    private func attempt(_ waiting: PendingCall) -> Bool {
        var result: CallResult?
        do throws(Errno) {
            result = try perform(waiting)
        } catch {
            result = CallResult(error)
        }
        guard var result else { return false }
        result.time = now
        results[waiting.id.number] = result
        return true
    }

    // MARK: The loop

    /// Takes from the stack what it has to say and lets calls return, until nothing more follows.
    func settle() {
        var goesOn = true
        while goesOn {
            goesOn = takePackets()
            while let event = stack.nextEvent() {
                take(event)
                goesOn = true
            }
            noteReadiness()
            let before = pending.count
            let waiting = pending
            for call in waiting where attempt(call) { pending.removeAll { $0 === call } }
            if pending.count < before { goesOn = true }
        }
    }

    /// Takes all packets the stack sends now; those for this host itself come back to it.
    private func takePackets() -> Bool {
        var any = false
        while let octets = takePacket() {
            any = true
            observeDeparture(octets.span.bytes)
            if let header = try? IPHeader(parsing: octets.span.bytes), isLocal(header.destination) {
                stack.receive(octets.span.bytes, at: now)
            } else {
                outgoing.append(OutgoingPacket(octets: octets, time: now))
            }
        }
        return any
    }

    private func takePacket() -> [UInt8]? {
        // Moved out for the time of the call: a span of a stored property would exclude the stack beside it.
        var room = buffer
        buffer = []
        defer { buffer = room }
        var span = room.mutableSpan
        var bytes = span.mutableBytes
        guard let packet = stack.transmit(into: &bytes, at: now) else { return nil }
        return Array(room[0..<packet.length])
    }

    func isLocal(_ address: IPAddress) -> Bool { stack.hasAddress(address) }
}

/// A call on its way.
final class PendingCall {
    let id: CallID
    let call: SystemCall
    /// When it returns for want of anything better; the far future without a limit.
    var deadline = Instant.distantFuture
    /// It was tried before.
    var isRetry = false
    /// What it works on, should the descriptor be closed meanwhile.
    var description: Description?
    /// Octets written so far, and read so far.
    var written = 0
    var octets: [UInt8] = []

    init(id: CallID, call: SystemCall) {
        self.id = id
        self.call = call
    }
}
