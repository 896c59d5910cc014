public import TCPTrace
internal import TCPEngine
internal import TCPStack
internal import TCPWire

/// What a cell has to reach.
public struct GridRequirement: Sendable, Hashable {
    /// What goodput is compared with.
    public enum Basis: UInt8, Sendable {
        /// What the link carries as payload.
        case link
        /// The larger of the two response functions to loss by chance, and no more than the link carries.
        case response
        /// The goodput of the same cell without reordering and jitter.
        case orderly
    }

    /// The least share of the bound: 0...1.
    public var share: Double
    /// What the bound is.
    public var basis = Basis.link
    /// The least index of fairness.
    public var jain: Double?
    /// The most that may wait on average, as a part of the bandwidth-delay product.
    public var meanQueue: Double?
    /// Whether nothing may be lost.
    public var isLossless = false

    /// A share of a bound.
    public init(share: Double, of basis: Basis = .link) {
        self.share = share
        self.basis = basis
    }
}

/// A cell, the row of the table it belongs to, and what it has to reach.
public struct GridEntry: Sendable, Hashable {
    /// The row's name.
    public var name: String
    /// What the row says, in words.
    public var title: Phrase
    /// The network.
    public var cell: GridCell
    /// What to reach; `nil` is measured only.
    public var requirement: GridRequirement?

    /// Makes an entry.
    public init(_ name: String, _ title: Phrase, _ cell: GridCell, _ requirement: GridRequirement?) {
        self.name = name
        self.title = title
        self.cell = cell
        self.requirement = requirement
    }

    /// Plays it, and holds what came of it against what is required.
    public func run(_ options: SceneOptions = SceneOptions()) -> GridResult {
        let transfer = cell.transfer(options)
        let report = transfer.run()
        let basis = requirement?.basis ?? (cell.loss > 0 && cell.congestion != .bbr ? .response : .link)
        return GridResult(
            entry: self, report: report, goodput: cell.goodput(report),
            capacity: cell.rate * transfer.payloadFraction, bound: bound(basis, transfer, options))
    }

    private func bound(_ basis: GridRequirement.Basis, _ transfer: Transfer, _ options: SceneOptions) -> Double {
        let capacity = cell.rate * transfer.payloadFraction
        let segment = Int(Double(transfer.link.mtu) * transfer.payloadFraction + 0.5)
        switch basis {
        case .link: return capacity
        case .response:
            guard cell.loss > 0 else { return capacity }
            // The formula is for the window of one connection; several together have as many.
            let response = max(
                ResponseFunction.mathis(loss: cell.loss, roundTrip: cell.roundTrip, segment: segment),
                ResponseFunction.cubic(loss: cell.loss, roundTrip: cell.roundTrip, segment: segment))
            return min(capacity, response * Double(cell.flows))
        case .orderly:
            var orderly = cell
            orderly.reordering = 0
            orderly.jitter = .zero
            return orderly.goodput(orderly.transfer(options).run())
        }
    }
}

/// What came of an entry.
public struct GridResult: Sendable {
    /// The entry.
    public var entry: GridEntry
    /// Everything about the transfer.
    public var report: Transfer.Report
    /// What was measured of it, in bits a second.
    public var goodput: Double
    /// What the link carries as payload, in bits a second.
    public var capacity: Double
    /// What goodput is held against, in bits a second.
    public var bound: Double

    /// Makes a result; rates are in bits a second.
    public init(entry: GridEntry, report: Transfer.Report, goodput: Double, capacity: Double, bound: Double) {
        self.entry = entry
        self.report = report
        self.goodput = goodput
        self.capacity = capacity
        self.bound = bound
    }

    /// Goodput as a share of the link's rate, of which headers take a part.
    public var share: Double { goodput / entry.cell.rate }
    /// Goodput as a share of what the link carries as payload.
    public var payloadShare: Double { goodput / capacity }
    /// Goodput as a share of the bound.
    public var boundShare: Double { bound > 0 ? goodput / bound : 0 }
    /// The mean of the octets that waited in front of the link while all connections were there.
    public var meanQueue: Double { report.together?.meanBacklog ?? 0 }

    /// Whether everything required was reached, every octet having arrived as it was sent; `nil` if nothing is required.
    public var isReached: Bool? {
        guard let requirement = entry.requirement else { return nil }
        guard report.isIntact, report.outcome == .idle, boundShare >= requirement.share else { return false }
        if let jain = requirement.jain, report.jain < jain { return false }
        if requirement.isLossless, report.lost > 0 { return false }
        guard let most = requirement.meanQueue else { return true }
        return meanQueue <= most * entry.cell.bandwidthDelayProduct
    }
}
