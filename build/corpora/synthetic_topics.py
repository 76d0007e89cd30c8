"""The planted hierarchy: broad topic -> narrower topic -> words, real ones that embed as they read.

Every narrower topic has eight words; no word belongs to two topics.
"""

import re

_TEXT = """
astronomy
    galaxies: galaxy mergers, spiral arms, elliptical galaxies, dwarf galaxies, galactic haloes, tidal
        tails, galaxy clusters, bulge and disc
    stars: main-sequence stars, red giants, white dwarfs, stellar winds, binary stars, star formation,
        variable stars, supernova progenitors
    planets: exoplanets, planetary transits, habitable zones, hot Jupiters, protoplanetary discs,
        asteroids, planetary atmospheres, orbital resonances
    cosmology: dark energy, the cosmic microwave background, inflation of the early universe, dark
        matter, redshift surveys, baryon acoustic oscillations, the Hubble constant, large-scale structure
    telescopes: radio telescopes, adaptive optics, mirror segments, spectrographs, interferometry, space
        observatories, photometric calibration, telescope arrays
medicine
    cardiology: heart failure, blood pressure, coronary arteries, atrial fibrillation, cardiac surgery,
        heart valves, cholesterol, pacemakers
    oncology: tumours, chemotherapy, breast cancer, radiotherapy, metastasis, leukaemia, tumour
        biopsies, cancer screening
    infection: bacteria, antibiotic resistance, influenza viruses, vaccines, malaria parasites, hospital
        hygiene, epidemics, tuberculosis
    neurology: epilepsy, stroke patients, Parkinson's disease, migraine, dementia, multiple sclerosis,
        nerve damage, brain imaging
    surgery: anaesthesia, surgical wounds, organ transplants, keyhole surgery, operating theatres,
        sutures, hip replacements, surgical robots
machine learning
    neural networks: deep neural networks, backpropagation, convolutional layers, dropout, hidden units,
        activation functions, batch normalisation, residual connections
    language models: transformers, word embeddings, machine translation, language generation,
        tokenisers, question answering, pretrained text encoders, attention heads
    reinforcement learning: reward functions, policy gradients, Q-learning, exploration strategies,
        Markov decision processes, game-playing agents, value functions, robot policies
    clustering: k-means clustering, density-based clusters, dendrograms, mixture models, cluster
        centroids, spectral clustering, unlabelled data, silhouette scores
    kernel methods: support vector machines, kernel functions, Gaussian processes, margin maximisation,
        ridge regression, feature maps, reproducing kernels, kernel bandwidths
cooking
    baking: sourdough bread, pastry dough, yeast fermentation, cake batter, oven temperature, whole-
        grain flour, rye loaves, puff pastry
    soups: vegetable broth, chicken stock, lentil soup, bouillabaisse, miso, creamy chowder, ramen,
        simmered bones
    desserts: chocolate mousse, ice cream, caramel, custard, fruit tarts, meringue, panna cotta, sorbet
    spices: cinnamon, cumin seeds, saffron, chilli peppers, turmeric, black pepper, curry powder,
        cardamom
    cheese: goat's cheese, cheddar, ripened rinds, curds and whey, blue mould, mozzarella, rennet, raw-
        milk cheese
law
    contracts: breach of contract, contract clauses, warranties, purchase agreements, negotiated terms,
        damages for delay, leases, force majeure
    criminal law: murder trials, sentencing, jury verdicts, police evidence, fraud charges, prison
        terms, bail hearings, theft
    patents: patent claims, inventors' rights, patent infringement, prior art, trademark disputes,
        licences for inventions, copyright holders, patent offices
    constitutional law: constitutional courts, freedom of speech, voting rights, separation of powers,
        constitutional amendments, civil liberties, judicial review, federal powers
sport
    football: penalty kicks, goalkeepers, offside traps, league titles, midfield passing, football
        stadiums, strikers, corner kicks
    tennis: tennis serves, grass courts, backhand strokes, Grand Slam finals, tie-breaks, doubles
        partners, rackets, baseline rallies
    athletics: marathon runners, sprinting, pole vault, long jump, relay teams, hurdles, javelin throws,
        track records
    cycling: mountain stages, time trials, road bikes, sprinters in the peloton, bicycle frames, gear
        ratios, velodromes, breakaways
    swimming: freestyle swimming, butterfly stroke, swimming pools, tumble turns, open-water races,
        breaststroke, swimmers' lungs, diving starts
music
    orchestra: violin sections, symphonies, conductors, brass players, concert halls, string quartets,
        woodwind solos, orchestral scores
    jazz: improvised solos, saxophones, swing rhythm, bebop, jazz trumpeters, double bass lines, blues
        scales, jam sessions
    opera: sopranos, arias, libretti, tenor voices, opera houses, recitatives, choruses on stage,
        overtures
    electronic music: synthesisers, drum machines, samplers, dance clubs, techno beats, sound design,
        modular oscillators, audio loops
climate
    oceans: sea level, ocean currents, coral bleaching, ocean acidification, warm surface waters, marine
        heatwaves, the Gulf Stream, salinity
    ice: melting glaciers, Arctic sea ice, ice cores, the Greenland ice sheet, permafrost thaw, snow
        cover, icebergs, Antarctic ice shelves
    weather: tropical cyclones, drought, rainfall extremes, thunderstorms, weather forecasts, monsoon
        rains, heatwaves on land, wind gusts
    emissions: carbon dioxide, methane leaks, fossil fuels, carbon taxes, emission targets, coal power
        plants, greenhouse gases, carbon capture
    ecosystems: rainforest loss, migrating birds, wetlands, pollinating insects, forest fires, invasive
        species, soil carbon, biodiversity
economics
    inflation: rising prices, central banks, interest rates, monetary policy, consumer price indices,
        currency devaluation, wage growth, price stability
    trade: import tariffs, export markets, free-trade agreements, shipping containers, customs unions,
        supply chains, trade deficits, exchange rates
    labour: unemployment, minimum wages, trade unions, job vacancies, working hours, pensions, labour
        migration, part-time workers
    finance: stock markets, bond yields, hedge funds, bank loans, portfolio risk, derivatives pricing,
        credit ratings, venture capital
"""


def _parse(text: str) -> dict[str, dict[str, tuple[str, ...]]]:
    topics: dict[str, dict[str, tuple[str, ...]]] = {}
    for block in re.split(r"\n(?! )", text.strip()):
        broad, *lines = re.split(r"\n {4}(?! )", block)
        narrower = (" ".join(line.split()).split(": ") for line in lines)
        topics[broad] = {name: tuple(words.split(", ")) for name, words in narrower}
    return topics


TOPICS = _parse(_TEXT)
