internal import TCPEngine
internal import TCPStack
internal import TCPWire

/// What an end's program knows of one connection it had. A checker's notes: the engine never sees them.
struct Life {
    /// ISS.
    var initial: SequenceNumber
    /// IRS, once known.
    var peerInitial: SequenceNumber?
    /// Octets the engine took from the program.
    var written = 0
    var isClosed = false
    var isAborted = false
    /// Octets read.
    var read = 0
    var sawEnd = false
    var hasEnded = false
    var error: ConnectionError?
}

/// ISS and IRS of a connection an end has, or had.
struct SequencePair: Hashable {
    var local: SequenceNumber
    var remote: SequenceNumber
}

/// One end: a real stack, and a program.
final class Host {
    var stack: Stack
    let index: Int
    let local: Endpoint
    let remote: Endpoint
    var listener: ListenerID?
    /// The program's connection.
    var connection: ConnectionID?
    /// The program's next step.
    var position = 0
    var hasAborted = false
    var lives: [Life] = []
    /// Connections it had before the exploration began.
    var earlierLives = 0
    /// The connections this end has had, as far as both SYNs were known to it.
    var pairs: Set<SequencePair> = []
    /// The state of the connection by the changes that were told; CLOSED stands for LISTEN too.
    var toldState = State.closed
    /// The budget in use before anything happened.
    var baseline = 0

    init(_ index: Int, _ scene: Scene, seed: UInt64) {
        self.index = index
        let ends = [
            Endpoint(IPAddress(ipv4: 0xC000_0201), 40_000), Endpoint(IPAddress(ipv4: 0xC000_0202), 80),
        ]
        local = ends[index]
        remote = ends[1 - index]
        stack = Stack(
            configuration: scene.configuration,
            secret: StackSecret(seed &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(index), seed ^ 0xD6E8_FEB8_6659_FD93))
        stack.addAddress(AddressPrefix(local.address, length: 24))
        if index == 1, scene.prelude != .idle {
            listener = try? stack.listen(on: local.port, address: local.address, at: .zero)
        }
        baseline = stack.budgetUsed
    }

    /// The name of the end in drawings.
    var name: String { Host.name(index) }

    static func name(_ index: Int) -> String { index == 0 ? "client" : "server" }

    /// The octet a program writes at `offset` of its `life`-th connection: different at both ends and in each connection.
    func octet(_ life: Int, _ offset: Int) -> UInt8 {
        Host.octet(index, life: life + earlierLives, offset: offset)
    }

    private static func octet(_ end: Int, life: Int, offset: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: (end == 0 ? 0x61 : 0x41) &+ life &* 64 &+ offset)
    }

    /// The life of this end that the other end's connection with that IRS belongs to.
    func life(initial: SequenceNumber) -> Int? { lives.lastIndex { $0.initial == initial } }
}
