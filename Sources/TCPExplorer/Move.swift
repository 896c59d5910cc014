/// One step of a path: what the network, a clock or a program does next. Ends are 0, the client, and 1, the server; packets
/// are named by their place among those on their way, oldest first.
package enum Move: Hashable, Sendable {
    /// The packet arrives.
    case deliver(Int)
    /// The packet arrives, and a copy of it is still on its way.
    case deliverCopy(Int)
    /// The packet is lost.
    case lose(Int)
    /// Time passes until the next timer of that end is due, and it fires. All packets on their way are held past it.
    case timer(Int)
    /// The program at that end does its next step.
    case act(Int)
    /// The program at that end aborts its connection.
    case abort(Int)

    /// In sixteen bits, as millions of them are kept.
    package var code: UInt16 {
        switch self {
        case .deliver(let index): UInt16(index)
        case .deliverCopy(let index): 0x2000 | UInt16(index)
        case .lose(let index): 0x4000 | UInt16(index)
        case .timer(let end): 0x6000 | UInt16(end)
        case .act(let end): 0x8000 | UInt16(end)
        case .abort(let end): 0xA000 | UInt16(end)
        }
    }

    package init(code: UInt16) {
        let number = Int(code & 0x1FFF)
        switch code &>> 13 {
        case 0: self = .deliver(number)
        case 1: self = .deliverCopy(number)
        case 2: self = .lose(number)
        case 3: self = .timer(number)
        case 4: self = .act(number)
        default: self = .abort(number)
        }
    }
}
